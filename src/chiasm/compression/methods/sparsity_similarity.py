"""Sparsity Meets Similarity (arXiv 2409.01162): cut where the curve of class attention bends.

Stage 1, unit by unit, before the first layer and whatever is asked: similarity to the class token
falls off in a long tail; what stands before the bend stays, from 16 tokens to half of them. Stage
2, before layer 2 of 32: of the tokens left, the half that the question's rows attend to most, mean
over heads and rows; original positions.

`by_sample` cuts at each picture's own bend, and `keep` is then only what a bill expects; otherwise
the first stage keeps the same share r of all:

    keep = (k r + (L - k) r later) / L,    later = 1/2.

Where r would be above 1, all are kept in stage 1 and `later` grows instead.
"""

from dataclasses import dataclass

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Asks
from chiasm.compression.fates import Drop
from chiasm.compression.knee import Knee
from chiasm.compression.looks import attention_look
from chiasm.compression.method import HostShape, register_method, two_stages
from chiasm.compression.reducer import Budget, Reducer, Scope, Site
from chiasm.compression.scorers import Attended, Looked


@register_method("sparsity-similarity")
@dataclass(frozen=True, kw_only=True)
class SparsitySimilarity:
    """Two stages; `later` is the share of what stage 1 left that stage 2 keeps."""

    keep: float
    by_sample: bool = False
    later: float = 0.5

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        layer = shape.layer(2, of=32)
        first, second = two_stages(self.keep, layer, shape.depth, self.later)
        budget: Budget = Share(first)
        if self.by_sample:
            budget = Knee(share=Share(first))
        stages: list[Reducer] = []
        if self.by_sample or first < 1:
            look = attention_look(shape, shape.penultimate)
            stages.append(
                Reducer(
                    site=Site(),
                    scope=Scope.UNIT,
                    scorer=Looked(look=look),
                    budget=budget,
                    fate=Drop(),
                )
            )
        if second < 1:
            stages.append(
                Reducer(
                    site=Site(layer=layer),
                    scope=Scope.SAMPLE,
                    scorer=Attended(asks=Asks.QUESTION),
                    budget=Share(second),
                    fate=Drop(),
                )
            )
        return tuple(stages)
