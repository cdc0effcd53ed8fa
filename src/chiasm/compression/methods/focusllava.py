"""FocusLLaVA's text-guided sampler (arXiv 2411.14228), without training.

Before one decoder layer, 8 of 32 in the choice made here (the paper's abstract names none), the
visual tokens stay that the question's rows attend to most, mean over heads and rows; the others are
gone. Where `keep` is too small for that layer, the cut moves forward, so that at most half of the
budget is spent before it. The trained vision-guided sampler is an answer of question 6
(`chiasm.compression.RegionScales`).
"""

from dataclasses import dataclass

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Asks
from chiasm.compression.fates import Drop
from chiasm.compression.method import HostShape, register_method, share_from
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Attended


@register_method("focusllava")
@dataclass(frozen=True, kw_only=True)
class FocusLLaVA:
    """One step in the decoder."""

    keep: float

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        layer = shape.layer(8, of=32)
        layer = max(shape.first, min(layer, int(self.keep * shape.depth / 2)))
        share = share_from(layer, self.keep, shape.depth, "focusllava")
        return (
            Reducer(
                site=Site(layer=layer),
                scope=Scope.SAMPLE,
                scorer=Attended(asks=Asks.QUESTION),
                budget=Share(share),
                fate=Drop(),
            ),
        )
