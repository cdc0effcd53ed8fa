"""VFlowOpt (arXiv 2508.05211): one importance map of the encoder, recycled leftovers, three ratios.

Importance of a patch, from the head-mean map A of encoder block 25 of 27: the mean of the rows A[i]
over the patches i that receive more than t times the mean attention, plus alpha * softmax(entropy)
of the patches' grey values over the unit.

Before the first layer the share r_0 of an item's tokens stays. What goes is grouped by cells of m
x m places, and each cell becomes one token, the mean weighted by importance, at its most important
member; these count among r_0 N. Before layers 9 and 18 of 28 the shares r_1 and r_2 of what is left
stay, by the same map, the rest is dropped. With stages at a and b of L layers

    keep = (a r_0 + (b - a) r_0 r_1 + (L - b) r_0 r_1 r_2) / L.

r_2 is solved from it where r_0 and r_1 are given. Otherwise r_1, r_2, t and m are the released ones
of the nearest budget, and r_0 is solved (where that would be above 1, r_1 and r_2 rise instead).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Evidence, Look
from chiasm.compression.fates import Drop
from chiasm.compression.information_flow import CalibratedAttention, PatchEntropy
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.recycling import Recycle
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.errors import Misuse

Ratios = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Released:
    """Settings that the authors found for LLaVA-OneVision-7B; alpha is 0 in all of them."""

    keep: float
    threshold: float
    cell: float
    ratios: Ratios


RELEASED = (
    Released(keep=0.10, threshold=39.265, cell=17.387, ratios=(0.11662, 1.0, 0.6011)),
    Released(keep=0.25, threshold=34.760, cell=15.581, ratios=(0.26510, 0.98334, 0.87733)),
    Released(keep=0.50, threshold=28.683, cell=11.757, ratios=(0.72332, 0.74875, 0.487)),
)


@register_method("vflowopt")
@dataclass(frozen=True, kw_only=True)
class VFlowOpt:
    """`threshold` is t, `cell` m and `entropy` alpha; None: released."""

    keep: float
    r_0: float | None = None
    r_1: float | None = None
    threshold: float | None = None
    cell: float | None = None
    entropy: float = 0.0

    @property
    def released(self) -> Released:
        """Of the nearest budget."""
        return min(RELEASED, key=lambda one: abs(one.keep - self.keep))

    def ratios(self, stages: tuple[int, int], depth: int) -> Ratios:
        """r_0, r_1, r_2, whose mean over the layers is `keep`.

        Raises:
            Misuse: r_0 and r_1 alone spend more than the budget, or cannot spend it.
        """
        if self.r_0 is None and self.r_1 is None:
            return self._like_released(stages, depth)
        if self.r_0 is None or self.r_1 is None:
            raise Misuse(f"r_0={self.r_0} and r_1={self.r_1}: give both ratios or neither")
        last = last_ratio(self.keep, self.r_0, self.r_1, stages, depth)
        if not 0 < last <= 1 + 1e-9:
            raise Misuse(
                f"r_0={self.r_0:g} and r_1={self.r_1:g} leave r_2={last:.4g} for "
                f"keep={self.keep:g}, which is not in (0, 1]; change them"
            )
        return self.r_0, self.r_1, min(1.0, last)

    def _like_released(self, stages: tuple[int, int], depth: int) -> Ratios:
        _, r_1, r_2 = self.released.ratios
        r_0 = self.keep / mean_keep((1.0, r_1, r_2), stages, depth)
        if r_0 <= 1:
            return r_0, r_1, r_2
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            risen = (1.0, 1 - middle * (1 - r_1), 1 - middle * (1 - r_2))
            above = mean_keep(risen, stages, depth) > self.keep
            low, high = (middle, high) if above else (low, middle)
        return 1.0, 1 - low * (1 - r_1), 1 - low * (1 - r_2)

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        stages = stages_of(shape)
        scorer = Importance(
            attention=CalibratedAttention(
                block=shape.block(25, of=27),
                threshold=self.released.threshold if self.threshold is None else self.threshold,
            ),
            entropy=self.entropy,
        )
        cell = self.released.cell if self.cell is None else self.cell
        steps = zip(
            (0, *stages),
            (Scope.ITEM, Scope.SAMPLE, Scope.SAMPLE),
            self.ratios(stages, shape.depth),
            (Recycle(cell=cell), Drop(), Drop()),
            strict=True,
        )
        return tuple(
            Reducer(
                site=Site(layer=layer), scope=scope, scorer=scorer, budget=Share(ratio), fate=fate
            )
            for layer, scope, ratio, fate in steps
            if ratio < 1
        )


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Calibrated attention plus alpha times the softmax of the patches' entropy."""

    attention: CalibratedAttention
    entropy: float

    @property
    def needs(self) -> Sequence[Look]:
        return (self.attention, PatchEntropy()) if self.entropy else (self.attention,)

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        attention = evidence.seen[self.attention]
        return (
            attention + self.entropy * evidence.seen[PatchEntropy()] if self.entropy else attention
        )


def stages_of(shape: HostShape) -> tuple[int, int]:
    """The layers before which r_1 and r_2 apply."""
    return shape.layer(9, of=28), shape.layer(18, of=28)


def mean_keep(ratios: Ratios, stages: tuple[int, int], depth: int) -> float:
    """(a r_0 + (b - a) r_0 r_1 + (L - b) r_0 r_1 r_2) / L."""
    (first, second), (r_0, r_1, r_2) = stages, ratios
    return r_0 * (first + (second - first) * r_1 + (depth - second) * r_1 * r_2) / depth


def last_ratio(keep: float, r_0: float, r_1: float, stages: tuple[int, int], depth: int) -> float:
    """The r_2 at which the mean is `keep`, whether or not it is a ratio."""
    first, second = stages
    spent = r_0 * (first + (second - first) * r_1)
    return (keep * depth - spent) / ((depth - second) * r_0 * r_1)
