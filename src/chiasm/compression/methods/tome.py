"""ToMe (arXiv 2210.09461) behind the encoder: like tokens of a unit become one.

The paper merges r tokens in every encoder block, by their keys; here the encoder is left as it is
and the same matching runs in rounds on what comes out of it, compared by the keys of the block
before the last, as attention there compares tokens. Means weigh a token by its size. The paper's
log size in the attention of later blocks is not added: a decoder's kernels take none.
"""

from dataclasses import dataclass

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import BlockKeys
from chiasm.compression.matching import MergeRounds
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Alike


@register_method("tome")
@dataclass(frozen=True, kw_only=True)
class ToMe:
    """Bipartite matching with sizes."""

    keep: float

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        return (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Alike(),
                budget=Share(self.keep),
                fate=MergeRounds(sized=True, by=BlockKeys(block=shape.penultimate)),
            ),
        )
