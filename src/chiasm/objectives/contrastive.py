"""One contrastive loss: of scores, targets, who competes, and what each query weighs."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.layers.attention import logits_over


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """Cross-entropy between each query's targets and the softmax of its scores.

    L = sum_i w_i / sum w * -sum_j p_ij log softmax_j(s_ij / temperature), the softmax over the
    candidates allowed to query i. InfoNCE has one target a query; several share a query's mass in
    proportion to their targets. Label smoothing eps gives eps of it to all allowed candidates
    evenly. Modality masks and hard negatives are columns and their `allowed`.
    """

    temperature: float = 0.05
    smoothing: float = 0.0
    both_ways: bool = False
    """Whether candidates are also asked for their queries, and the two losses averaged."""

    def judge(
        self,
        scores: Float[Tensor, "query candidate"],
        targets: Float[Tensor, "query candidate"],
        allowed: Bool[Tensor, "query candidate"] | None = None,
        weights: Float[Tensor, " query"] | None = None,
        temperature: Tensor | None = None,
    ) -> Float[Tensor, ""]:
        """`temperature` overrides the fixed one where it is learnt. Queries without a target, and
        in the other direction candidates without a query, are left out.

        Raises:
            ValueError: no query has a target, or a target is not allowed.
        """
        scores = scores.float() / (self.temperature if temperature is None else temperature)
        permitted = torch.ones_like(targets, dtype=torch.bool) if allowed is None else allowed
        if bool((targets.ne(0) & ~permitted).any()):
            raise ValueError("a target is not among the allowed candidates; allow it")
        loss = self._one_way(scores, targets, permitted, weights)
        if not self.both_ways:
            return loss
        return (loss + self._one_way(scores.T, targets.T, permitted.T, None)) / 2

    def _one_way(
        self, scores: Tensor, targets: Tensor, allowed: Tensor, weights: Tensor | None
    ) -> Tensor:
        mass = targets.sum(-1)
        asked = mass > 0
        if not bool(asked.any()):
            raise ValueError("no query has a target: there is nothing to learn from")
        scores, allowed = scores[asked], allowed[asked]
        wanted = targets[asked].float() / mass[asked].unsqueeze(-1)
        if self.smoothing:
            even = allowed / allowed.sum(-1, keepdim=True)
            wanted = (1 - self.smoothing) * wanted + self.smoothing * even
        losses = logits_over(scores, allowed).logsumexp(-1) - (wanted * scores).sum(-1)
        if weights is None:
            return losses.mean()
        weights = weights[asked]
        return (weights * losses).sum() / weights.sum()


def same_items(queries: Tensor, candidates: Tensor) -> Float[Tensor, "query candidate"]:
    """Targets by the items' numbers: 1 where a candidate is the query's, so duplicates count."""
    return (queries.unsqueeze(-1) == candidates).float()
