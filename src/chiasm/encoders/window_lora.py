"""A frozen vision transformer with low-rank weights of its own for each window of an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.encoders.vit import Layer, VisionTransformer, VisionTransformerEncoder
from chiasm.errors import Misuse
from chiasm.spec import Size, Work
from chiasm.spec.work import linear
from chiasm.stream import Features, Permission


@dataclass(frozen=True, kw_only=True)
class WindowLoRA:
    """`base`, and for the views at each of `windows` places of an image a set of low-rank pairs
    (Monkey, arXiv 2311.06607); the view behind them, the whole image, passes `base` alone.

    In every layer W x becomes W x + s B A x for queries, keys and values together and for the
    output, at `rank`, and s B A x of the stream before its norm is added beside the feed-forward,
    at `inner_rank`. B starts at 0, the learned s at 1; what B A reads drops out. Their parameters
    are the part `experts`, so that stages freeze `base` by leaving `encoder` out.
    """

    base: VisionTransformer
    windows: int
    rank: int = 16
    inner_rank: int = 32
    dropout: float = 0.05

    @property
    def views(self) -> int:
        """Views of an image."""
        return self.windows + 1

    @property
    def width(self) -> int:
        return self.base.width

    def grid(self, size: Size) -> tuple[int, int]:
        return self.base.grid(size)

    def build(self) -> "WindowLoRAEncoder":
        return WindowLoRAEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        """Of the low-rank pairs the mean over an image's views, of which the last has none."""
        rows, columns = self.grid(size)
        tokens, w = rows * columns, self.base.width
        each = self.rank * (w + 3 * w) + self.rank * 2 * w + self.inner_rank * 2 * w
        pairs = tokens * each * self.base.depth * self.windows // self.views
        return (*self.base.work(size), linear("encoder", "low-rank pairs", 1, pairs, 1))


class _Pair(nn.Module):
    """s B A x."""

    def __init__(self, width: int, rank: int, out: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, out, bias=False)
        self.scale = nn.Parameter(torch.ones(()))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.up(self.down(self.dropout(x)))


class _Pairs(nn.Module):
    """The pairs of one window in one layer."""

    def __init__(self, config: WindowLoRA) -> None:
        super().__init__()
        width, rank, dropout = config.width, config.rank, config.dropout
        self.into = _Pair(width, rank, 3 * width, dropout)
        self.out = _Pair(width, rank, width, dropout)
        self.beside = _Pair(width, config.inner_rank, width, dropout)


class WindowLoRAEncoder(VisionTransformerEncoder):
    """Views `[view, 3, height, width]` to features `[view, rows * columns, width]`."""

    numbered = True
    """Whether it is told the number of every view in its sample."""

    def __init__(self, config: WindowLoRA) -> None:
        super().__init__(config.base)
        self.windowed = config
        self.experts = nn.ModuleList(
            nn.ModuleList(_Pairs(config) for _ in range(config.windows))
            for _ in range(config.base.depth)
        )

    def forward(
        self,
        images: Float[Tensor, "view 3 height width"],
        image_valid: Bool[Tensor, "view height width"] | None = None,
        numbers: Int[Tensor, " view"] | None = None,
    ) -> Features:
        """`numbers` counts the views of each sample; without them, all views lie in order.

        Raises:
            Misuse: there are views of a part of an image.
        """
        views = self.windowed.views
        if len(images) % views:
            raise Misuse(
                f"{len(images)} views are no whole images of {views}: {views - 1} windows and the "
                "whole image; cut images into as many windows as there are low-rank sets"
            )
        if numbers is None:
            numbers = torch.arange(len(images), device=images.device)
        seats = numbers % views
        own = [(seats == window).nonzero().flatten() for window in range(views - 1)]
        return self.features(images, image_valid, lambda x, p: self._windows(x, p, own))

    def _windows(self, x: Tensor, permission: Permission, own: list[Tensor]) -> list[Tensor]:
        states = [x]
        for layer, pairs in zip(self.layers, self.experts, strict=True):
            states.append(_windowed(layer, pairs, states[-1], permission, own))
        return states


def _windowed(
    layer: nn.Module, pairs: nn.Module, x: Tensor, permission: Permission, own: list[Tensor]
) -> Tensor:
    """A layer, with the pairs of each window added for the views that are its `own`."""
    assert isinstance(layer, Layer) and isinstance(pairs, nn.ModuleList)

    def added(to: Tensor, name: str, read: Tensor) -> Tensor:
        for window, rows in zip(pairs, own, strict=True):
            if len(rows):
                to = to.index_add(0, rows, window.get_submodule(name)(read[rows]).to(to.dtype))
        return to

    normed = layer.norm1(x)
    mixed = layer.mixed(added(layer.qkv(normed), "into", normed), permission)
    x = x + added(layer.out(mixed), "out", mixed)
    return added(x + layer.mlp(layer.norm2(x)), "beside", x)
