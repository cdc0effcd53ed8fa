"""Few latents that read an array of any length and think by themselves: Perceiver's trunk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.layers import LatentRead
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class LatentStack:
    """Perceiver (Jaegle et al. 2021, arXiv 2103.03206, section 3).

    `repeats` runs of one latent block of `depth` self-attention layers, whose weights are shared.
    Before each of the first `attends` runs the latents read the array by cross-attention; the first
    read has weights of its own, all later ones share theirs. `attends = 1` is Perceiver IO's
    encoder (arXiv 2107.14795). Cost: O(array x latents) a read, O(latents^2) a layer.
    """

    latents: int
    width: int
    """Width of a latent."""
    depth: int
    repeats: int
    heads: int
    cross_heads: int = 1
    attends: int = 1
    ff_multiple: int = 1
    cross_ff_multiple: int = 1
    key_width: int | None = None
    """Width of queries and keys among latents, all heads together; None: a latent's."""
    value_width: int | None = None
    """Width of values among latents; None: that of the keys."""
    cross_key_width: int | None = None
    """Width of queries and keys when the array is read; None: an array element's."""
    cross_value_width: int | None = None
    """Width of values when the array is read; None: that of its keys."""
    cross_residual: bool = True
    """Whether a latent keeps what it was when it reads the array."""
    activation: str = "gelu"
    initial_std: float = 0.02

    def __post_init__(self) -> None:
        if not 1 <= self.attends <= self.repeats:
            raise ValueError(
                f"{self.attends} reads of the array need as many runs of the latent block, "
                f"of which there are {self.repeats}"
            )

    def read_sizes(self, array_width: int) -> "_ReadSizes":
        """Of a cross-attention to elements of `array_width`."""
        keys = self.cross_key_width or array_width
        return _ReadSizes(
            self.width,
            array_width,
            keys,
            self.cross_value_width or keys,
            self.cross_heads,
            self.cross_ff_multiple,
        )

    def layer_sizes(self) -> "_ReadSizes":
        """Of a self-attention among latents."""
        keys = self.key_width or self.width
        values = self.value_width or keys
        return _ReadSizes(self.width, self.width, keys, values, self.heads, self.ff_multiple)

    def build(self, array_width: int) -> "Latents":
        """The module that reads elements of `array_width`."""
        return Latents(self, array_width)

    def work(self, elements: int, array_width: int) -> Sequence[Work]:
        """Multiply-adds over an array of so many elements."""
        read, layer = self.read_sizes(array_width), self.layer_sizes()
        once = list(read.work("read", self.latents, elements))
        block = list(layer.work("latent", self.latents, self.latents))
        return once * self.attends + block * (self.depth * self.repeats)


@dataclass(frozen=True)
class _ReadSizes:
    """Widths of one attention from latents to an array, heads together."""

    width: int
    array_width: int
    keys: int
    values: int
    heads: int
    ff_multiple: int

    def __post_init__(self) -> None:
        for name in ("keys", "values"):
            if getattr(self, name) % self.heads:
                raise ValueError(
                    f"{name} of width {getattr(self, name)} cannot be cut into {self.heads} heads"
                )

    def build(self, activation: str, *, separate: bool, residual: bool = True) -> LatentRead:
        """The layer; `separate` where the array is not the latents themselves."""
        return LatentRead(
            self.width,
            self.array_width if separate else None,
            keys=self.keys,
            values=self.values,
            heads=self.heads,
            hidden=self.ff_multiple * self.width,
            activation=activation,
            residual=residual,
        )

    def work(self, name: str, latents: int, elements: int) -> Iterator[Work]:
        both = self.keys + self.values
        yield linear("encoder", f"{name} query", latents, self.width, self.keys)
        # The array is held beside its normed copy.
        held = elements * (2 * self.array_width + both)
        keys = linear("encoder", f"{name} key and value", elements, self.array_width, both)
        yield replace(keys, held=held)
        yield Work("encoder", f"{name} attention", latents * elements * both)
        yield linear("encoder", f"{name} output", latents, self.values, self.width)
        hidden = 2 * self.ff_multiple * self.width
        yield linear("encoder", f"{name} feed-forward", latents, self.width, hidden)


class Latents(nn.Module):
    """`[batch, element, array width]` to `[batch, latent, width]`."""

    def __init__(self, config: LatentStack, array_width: int) -> None:
        super().__init__()
        self.config = config
        self.latents = nn.Parameter(torch.empty(config.latents, config.width))
        nn.init.trunc_normal_(self.latents, std=config.initial_std, a=-2.0, b=2.0)
        sizes = config.read_sizes(array_width)
        self.reads = nn.ModuleList(
            sizes.build(config.activation, separate=True, residual=config.cross_residual)
            for _ in range(min(config.attends, 2))
        )
        self.block = nn.ModuleList(
            config.layer_sizes().build(config.activation, separate=False)
            for _ in range(config.depth)
        )

    def forward(
        self,
        array: Float[Tensor, "batch element array_width"],
        valid: Bool[Tensor, "batch element"] | None = None,
    ) -> Float[Tensor, "batch latent width"]:
        """The latents after all runs; elements that are not valid are not read."""
        latents = self.latents.expand(array.shape[0], -1, -1)
        permission = Permission()
        if valid is not None:
            permission = Permission(dense=valid.unsqueeze(1).expand(-1, latents.shape[1], -1))
        for run in range(self.config.repeats):
            if run < self.config.attends:
                latents = self.reads[min(run, 1)](latents, array, permission)
            for layer in self.block:
                latents = layer(latents, None, Permission())
        return latents
