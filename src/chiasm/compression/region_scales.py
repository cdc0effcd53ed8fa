"""Regions of a picture at scales of their own: coarse where a gate says so (FocusLLaVA)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, gelu, one_hot

from chiasm.compression.pooled import own_cells
from chiasm.spec import Work
from chiasm.spec.reading import Losses
from chiasm.spec.work import linear
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class RegionScales:
    """FocusLLaVA's vision-guided sampler (arXiv 2411.14228) on connected tokens.

    The grid is cut into `regions x regions` areas of s x s cells, s the last of `sides`. Each is
    max-pooled to every side; a gate (mean and maximum of the area, two layers, softmax) chooses
    one, and the area becomes p_chosen times those tokens, so that the gate learns. Areas follow in
    raster order.

    The paper's areas choose freely, and the length differs from picture to picture. Here counts
    must be known before any pixel is: `areas_at` says how many areas get each side, and the gate
    which. The finest sides go first, to the areas that prefer them by the most. Noise of Gumbel's
    law is added to the gate's logits while training.

    balance: what `S sum_s f_s P_s` weighs among the losses, f_s the share of areas that would
    choose side s freely, P_s the mean probability: 1 where all sides are used alike.
    """

    sides: tuple[int, ...]
    areas_at: tuple[int, ...]
    hidden: int
    balance: float = 0.01

    def __post_init__(self) -> None:
        if len(self.sides) != len(self.areas_at) or list(self.sides) != sorted(set(self.sides)):
            raise ValueError(f"areas at sides {self.sides}, ascending, are {self.areas_at}")
        if self.regions**2 != sum(self.areas_at):
            raise ValueError(f"{sum(self.areas_at)} areas make no square grid of areas")

    @property
    def regions(self) -> int:
        """Areas along each side of the picture."""
        return int(sum(self.areas_at) ** 0.5 + 0.5)

    @property
    def of_tokens(self) -> bool:
        return True

    def count(self, tokens: int) -> int:
        pairs = zip(self.sides, self.areas_at, strict=True)
        return sum(side * side * areas for side, areas in pairs) if tokens else 0

    def build(self, width: int) -> nn.Module:
        return Scales(self, width)

    def work(self, tokens: int, width: int) -> Sequence[Work]:
        areas = sum(self.areas_at)
        return (
            linear("connector", "gate", areas, 2 * width, self.hidden),
            linear("connector", "gate choice", areas, self.hidden, len(self.sides)),
        )


class Scales(nn.Module):
    """`[image, token, width]` to `[image, kept, width]`."""

    def __init__(self, config: RegionScales, width: int) -> None:
        super().__init__()
        self.config = config
        self.inner = nn.Linear(2 * width, config.hidden)
        self.choice = nn.Linear(config.hidden, len(config.sides))

    def keep(self, features: Features, losses: Losses | None = None) -> Features:
        """The tokens of every area at its side, times the probability of that side."""
        areas = self.areas(features)
        logits = self.choice(gelu(self.inner(torch.cat([areas.mean(2), areas.amax(2)], -1))))
        probabilities = logits.float().softmax(-1)
        if losses is not None:
            losses.add("scales", self.config.balance * balance(probabilities))
        noised = logits.detach().float()
        if self.training:
            # From torch's generator of the CPU, whose state a resumed run restores.
            uniform = torch.rand(noised.shape).clamp(1e-6, 1 - 1e-6).to(noised)
            noised = noised - (-uniform.log()).log()
        chosen = assigned(noised, self.config.areas_at)
        weight = probabilities.gather(-1, chosen.unsqueeze(-1)).to(areas)
        kept = self._at_sides(areas) * weight.unsqueeze(-1)
        tokens = kept[self._mask(chosen)].unflatten(0, (len(areas), -1))
        return Features(tokens, (1, tokens.shape[1]))

    def areas(self, features: Features) -> Float[Tensor, "image area cell width"]:
        """The cells of every area, each in raster order."""
        side, count = self.config.sides[-1], self.config.regions
        pictures = [
            adaptive_max_pool2d(one, (count * side, count * side)) for one in own_cells(features)
        ]
        cells = torch.cat(pictures).unflatten(3, (count, side)).unflatten(2, (count, side))
        return cells.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)

    def _at_sides(
        self, areas: Float[Tensor, "image area cell width"]
    ) -> Float[Tensor, "image area token width"]:
        """Each area at every side, one after the other."""
        whole = self.config.sides[-1]
        maps = areas.mT.unflatten(-1, (whole, whole)).flatten(0, 1)
        made = [adaptive_max_pool2d(maps, side).flatten(2).mT for side in self.config.sides]
        return torch.cat(made, 1).unflatten(0, areas.shape[:2])

    def _mask(self, chosen: Int[Tensor, "image area"]) -> Tensor:
        """Which of an area's tokens at all sides are those of the chosen one."""
        sizes = [side * side for side in self.config.sides]
        owner = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)).to(chosen)
        return chosen.unsqueeze(-1) == owner


def assigned(
    logits: Float[Tensor, "image area side"], areas_at: Sequence[int]
) -> Int[Tensor, "image area"]:
    """A side for every area, so many areas a side: the finest first, to those areas whose logit
    exceeds that of every coarser side by the most; of equal ones the earlier.
    """
    chosen = torch.zeros(logits.shape[:2], dtype=torch.long, device=logits.device)
    free = torch.ones_like(chosen, dtype=torch.bool)
    for side in range(len(areas_at) - 1, 0, -1):
        margin = logits[..., side] - logits[..., :side].amax(-1)
        margin = margin.masked_fill(~free, -torch.finfo(margin.dtype).max)
        taken = margin.argsort(dim=-1, descending=True, stable=True)[:, : areas_at[side]]
        chosen.scatter_(1, taken, side)
        free.scatter_(1, taken, False)
    return chosen


def balance(probabilities: Float[Tensor, "image area side"]) -> Float[Tensor, ""]:
    """S sum_s f_s P_s, f_s the share of areas that are most likely at side s, P_s the mean."""
    sides = probabilities.shape[-1]
    freely = one_hot(probabilities.argmax(-1), sides).to(probabilities).mean((0, 1))
    return sides * (freely * probabilities.mean((0, 1))).sum()
