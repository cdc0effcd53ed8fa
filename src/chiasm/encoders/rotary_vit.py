"""A vision transformer at native size: no table of positions, rotary turns on two axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.layers import (
    GatedMLP,
    Rotary,
    RotaryTables,
    attend,
    merge_heads,
    rotate,
    split_heads,
)
from chiasm.spec import Size, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Features, Permission
from chiasm.stream.table import packed, take, unpacked


@dataclass(frozen=True, kw_only=True)
class RotaryViT:
    """Pixtral's vision transformer (arXiv 2410.07073): RMS norms, gated feed-forward, no biases.

    With f_j = theta^(-2j / head width), the even-numbered frequencies turn by a patch's row, the
    odd ones by its column, so that only differences of places count. `taps` are read as in
    `TransformersVision`: indices into the hidden states, 0 the normed patches, -1 the last
    layer's. A part of a patch at the edge is left out.
    """

    patch: int
    hidden: int
    """Width of one hidden state."""
    depth: int
    heads: int
    ff_width: int
    activation: str = "silu"
    theta: float = 10_000.0
    norm_eps: float = 1e-5
    taps: tuple[int, ...] = (-1,)

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise Misuse(
                f"{self.hidden} hidden units over {self.heads} heads leave no even head width"
            )
        wrong = [tap for tap in self.taps if not -self.depth - 1 <= tap <= self.depth]
        if wrong or not self.taps:
            raise Misuse(f"taps {self.taps} of a model of {self.depth} layers; name 0 to the depth")

    @property
    def width(self) -> int:
        """Width of a token: the taps' widths summed."""
        return self.hidden * len(self.taps)

    @property
    def places(self) -> tuple[int, ...]:
        """The taps, counted from the patches."""
        return tuple(tap % (self.depth + 1) for tap in self.taps)

    def grid(self, size: Size) -> tuple[int, int]:
        return size[0] // self.patch, size[1] // self.patch

    def build(self) -> "RotaryViTEncoder":
        return RotaryViTEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        rows, columns = self.grid(size)
        tokens, w = rows * columns, self.hidden
        work = [linear("encoder", "patches", tokens, 3 * self.patch**2, w)]
        for _ in range(max(self.places)):
            work += [
                linear("encoder", "attention projections", tokens, w, 4 * w),
                attention("encoder", "attention", tokens * tokens, self.heads, w // self.heads),
                linear("encoder", "feed-forward", tokens, w, 3 * self.ff_width),
            ]
        return work


class _Attention(nn.Module):
    def __init__(self, config: RotaryViT) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(config.hidden, config.hidden, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, tables: RotaryTables, permission: Permission) -> Tensor:
        q, k, v = (split_heads(p(x), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(merge_heads(attend(rotate(q, tables), rotate(k, tables), v, permission)))


class _Layer(nn.Module):
    def __init__(self, config: RotaryViT) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.attention = _Attention(config)
        self.ffn_norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.feed_forward = GatedMLP(config.hidden, config.ff_width, activation=config.activation)

    def forward(self, x: Tensor, tables: RotaryTables, permission: Permission) -> Tensor:
        x = x + self.attention(self.attention_norm(x), tables, permission)
        return x + self.feed_forward(self.ffn_norm(x))


class RotaryViTEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, width]`.

    Parameters bear the names of transformers' `PixtralVisionModel`, its `transformer` left out.
    """

    def __init__(self, config: RotaryViT) -> None:
        super().__init__()
        self.config = config
        self.patch_conv = nn.Conv2d(3, config.hidden, config.patch, stride=config.patch, bias=False)
        self.ln_pre = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.rotary = two_axes(config.hidden // config.heads, config.theta)

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """Tokens in reading order; one is valid if all of its pixels are. Others pass no layer, and
        are zeros.
        """
        maps = self.patch_conv(images.to(self.patch_conv.weight.dtype))
        rows, columns = maps.shape[-2:]
        places = _places(rows, columns, maps.device)
        x = maps.flatten(2).transpose(1, 2)
        if image_valid is None:
            taps = self._taps(x, self.rotary(places), Permission())
            return Features(torch.cat(taps, -1), (rows, columns), None, taps)
        valid = self.tokens_within(image_valid)
        slots, alive = packed(valid)
        tables = self.rotary(take(places.expand(len(x), -1, -1), slots))
        permission = Permission(dense=alive.unsqueeze(1).expand(-1, alive.shape[1], -1))
        taps = tuple(
            unpacked(tap, slots, alive, rows * columns)
            for tap in self._taps(take(x, slots), tables, permission)
        )
        return Features(torch.cat(taps, -1), (rows, columns), valid, taps)

    def _taps(
        self, patches: Float[Tensor, "image token hidden"], tables: RotaryTables, seen: Permission
    ) -> tuple[Float[Tensor, "image token hidden"], ...]:
        x = self.ln_pre(patches)
        states, deepest = [x], max(self.config.places)
        for layer in list(self.layers)[:deepest]:
            x = layer(x, tables, seen)
            states.append(x)
        return tuple(states[place] for place in self.config.places)

    def tokens_within(
        self, image_valid: Bool[Tensor, "image height width"]
    ) -> Bool[Tensor, "image token"]:
        """Which patches are of valid pixels alone."""
        side = self.config.patch
        patches = image_valid.unfold(1, side, side).unfold(2, side, side)
        return patches.flatten(3).all(-1).flatten(1)


def two_axes(head_width: int, theta: float) -> Rotary:
    """Even-numbered frequencies for the first axis, odd-numbered for the second."""
    exponents = torch.arange(0, head_width, 2, dtype=torch.float32) / head_width
    frequencies = 1.0 / theta**exponents
    by_axis = frequencies[0::2], frequencies[1::2]
    return Rotary(torch.cat(by_axis), sections=tuple(len(axis) for axis in by_axis))


def _places(rows: int, columns: int, device: torch.device) -> Float[Tensor, "1 token 2"]:
    """(y, x) of every patch."""
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float32, device=device),
        torch.arange(columns, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([y.flatten(), x.flatten()], -1).unsqueeze(0)
