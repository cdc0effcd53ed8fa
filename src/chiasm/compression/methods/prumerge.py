"""LLaVA-PruMerge+ (arXiv 2403.15388): outliers of class attention, filled up evenly, and enriched.

Unit by unit, by the class token's attention a in the block before the last (received attention
where there is no class token). Kept are the outliers, a > Q3 + 1.5 (Q3 - Q1), or the highest of
them where there are more than the budget has; where there are fewer, evenly spaced tokens of the
rest fill it up, as in PruMerge+ (plain PruMerge keeps the outliers alone, so that its budget is not
its user's). Each kept token then gains its 32 nearest by that block's keys:

    x_c + sum_{i in nearest 32} a_i x_i.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import BlockKeys, Evidence, Look
from chiasm.compression.fates import best, evenly
from chiasm.compression.looks import attention_look
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Looked


@register_method("prumerge")
@dataclass(frozen=True, kw_only=True)
class PruMerge:
    """One step before the first layer."""

    keep: float
    neighbours: int = 32

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        block = shape.penultimate
        return (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Looked(look=attention_look(shape, block)),
                budget=Share(self.keep),
                fate=Enriched(neighbours=self.neighbours, by=BlockKeys(block=block)),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Enriched:
    """Outliers and evenly spaced tokens, each with its nearest added, weighted by their scores."""

    neighbours: int
    by: BlockKeys

    @property
    def needs(self) -> Sequence[Look]:
        return (self.by,)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        stays = outliers(scores)
        if int(stays.sum()) > count:
            stays = torch.zeros_like(stays)
            stays[best(scores, count)] = True
        rest = (~stays).nonzero().flatten()
        stays[rest[evenly(len(rest), count - int(stays.sum()), rest.device)]] = True
        index = stays.nonzero().flatten()
        turned = normalize(evidence.seen[self.by].float(), dim=-1)
        likeness = turned[index] @ turned.T
        # No token is its own neighbour: less than any cosine.
        likeness[torch.arange(count, device=index.device), index] = -2.0
        near = likeness.topk(min(self.neighbours, evidence.tokens - 1)).indices
        hidden = evidence.hidden.float()
        gained = torch.einsum("cn,cnw->cw", scores.float()[near], hidden[near])
        return Reduction(index, (hidden[index] + gained).to(evidence.hidden.dtype))

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines of the kept with all, and the weighted sums."""
        return kept * tokens * width + kept * min(self.neighbours, tokens - 1) * width


def outliers(scores: Float[Tensor, " token"]) -> Bool[Tensor, " token"]:
    """Which lie above Q3 + 1.5 (Q3 - Q1), quartiles interpolated linearly."""
    first, third = scores.float().quantile(scores.new_tensor([0.25, 0.75]).float())
    return scores > third + 1.5 * (third - first)
