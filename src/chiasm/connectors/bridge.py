"""A frozen encoder's bridge to a language model: soft tokens of the whole, and of its objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.connectors.regions import grid_boxes
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """[W_1 v; …; W_k v] of the mean feature v (Frozen, arXiv 2106.13884), then W_o f + V box of the
    m cells with the longest features f (bridge architectures on NLVR2, arXiv 2307.16395).

    A box is (left, top, right, bottom, width, height, area), as fractions of the image; cells come
    in reading order.
    """

    soft: int = 4
    """k."""
    objects: int = 10
    """m; 0: the whole alone."""
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.soft + min(self.objects, grid[0] * grid[1])

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "BridgeTokens":
        return BridgeTokens(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        found = self.count(grid) - self.soft
        whole = linear("connector", "soft tokens", 1, width, self.soft * host_width)
        if not found:
            return (whole,)
        return (
            whole,
            linear("connector", "objects", found, width, host_width),
            linear("connector", "boxes", found, 7, host_width),
        )


class BridgeTokens(nn.Module):
    """`[image, cell, width]` to `[image, k + m, host width]`."""

    def __init__(self, config: Bridge, width: int, out: int) -> None:
        super().__init__()
        self.config = config
        self.whole = nn.Linear(width, config.soft * out)
        self.objects = nn.Linear(width, out) if config.objects else None
        self.boxes = nn.Linear(7, out, bias=False) if config.objects else None

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Cells of each image's own grid; an image with fewer than m has fewer objects."""
        f, valid = features.tokens, features.valid
        real = valid if valid is not None else torch.ones_like(f[..., 0], dtype=torch.bool)
        weight = real.unsqueeze(-1).to(f.dtype)
        mean = (f * weight).sum(1) / weight.sum(1)
        soft = self.whole(mean).unflatten(-1, (self.config.soft, -1))
        if self.objects is None or self.boxes is None:
            return Tokens(soft)
        chosen, found = self.longest(f, real)
        picked = f.gather(1, chosen.unsqueeze(-1).expand(-1, -1, f.shape[-1]))
        boxes = sized(grid_boxes(features).to(f))
        boxes = boxes.gather(1, chosen.unsqueeze(-1).expand(-1, -1, boxes.shape[-1]))
        tokens = torch.cat([soft, self.objects(picked) + self.boxes(boxes)], 1)
        if valid is None:
            return Tokens(tokens)
        return Tokens(tokens, torch.cat([found.new_ones(soft.shape[:2]), found], 1))

    def longest(
        self, f: Float[Tensor, "image cell width"], real: Bool[Tensor, "image cell"]
    ) -> tuple[Tensor, Bool[Tensor, "image object"]]:
        """Places of the objects in reading order, and which of them are cells of the image."""
        length = f.norm(dim=-1).masked_fill(~real, -1.0)
        best = length.topk(min(self.config.objects, f.shape[1]), dim=1).indices
        held = real.gather(1, best)
        # Reading order; what is no cell goes last.
        order = (best + ~held * f.shape[1]).argsort(dim=1)
        return best.gather(1, order), held.gather(1, order)


def sized(boxes: Float[Tensor, "image cell 5"]) -> Float[Tensor, "image cell 7"]:
    """(left, top, right, bottom, area) with width and height before the area."""
    return torch.cat([boxes[..., :4], boxes[..., 2:4] - boxes[..., :2], boxes[..., 4:]], -1)
