"""VisionZip (arXiv 2412.04467): the tokens the class token looks at, and merged context.

Unit by unit: of the tokens kept, 27 of 32 (the paper's 54 of 64) are *dominant*, those with the
most attention of the class token in the block before the last (received attention where there is no
class token), and stay as they are. The others are *contextual*: evenly spaced tokens of the rest,
each the mean of itself and of all that are most like it by that block's keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import BlockKeys, Evidence, Look
from chiasm.compression.fates import best, evenly
from chiasm.compression.looks import attention_look
from chiasm.compression.merging import nearest, pooled
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Looked


@register_method("visionzip")
@dataclass(frozen=True, kw_only=True)
class VisionZip:
    """One step before the first layer; `dominant` is the dominant share of what is kept."""

    keep: float
    dominant: float = 54 / 64

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        block = shape.penultimate
        return (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Looked(look=attention_look(shape, block)),
                budget=Share(self.keep),
                fate=DominantAndContext(dominant=self.dominant, by=BlockKeys(block=block)),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class DominantAndContext:
    """The best scored as they are; the rest joins evenly spaced ones of its own."""

    dominant: float
    by: BlockKeys

    @property
    def needs(self) -> Sequence[Look]:
        return (self.by,)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        hidden = evidence.hidden
        alone = best(scores, max(1, int(self.dominant * count + 0.5)))
        stays = torch.zeros_like(scores, dtype=torch.bool)
        stays[alone] = True
        rest = (~stays).nonzero().flatten()
        context = count - len(alone)
        targets = evenly(len(rest), context, rest.device)
        merged = hidden.clone()
        if context:
            owner = nearest(evidence.seen[self.by][rest], targets)
            merged[rest[targets]] = pooled(hidden[rest], owner, context)
            stays[rest[targets]] = True
        index = stays.nonzero().flatten()
        return Reduction(index, merged[index])

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines of the rest with the contextual tokens."""
        alone = max(1, int(self.dominant * kept + 0.5))
        return (tokens - alone) * (kept - alone) * width
