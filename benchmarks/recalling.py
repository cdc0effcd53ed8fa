"""How often what belongs together is found among the first, with intervals and against chance."""

from collections.abc import Sequence
from typing import Any

import torch

from chiasm.evaluation.interval import clustered

KS = (1, 5, 10)


def recalled(
    scores: torch.Tensor, right: torch.Tensor, clusters: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Recall at 1, 5 and 10 of `scores` `[query, candidate]`, where any `right` candidate counts.

    The interval is of cluster sampling: queries of one cluster are not independent.
    """
    order = scores.argsort(dim=-1, descending=True)
    found = {}
    for k in KS:
        hit = right.gather(-1, order[:, :k]).any(-1).float().tolist()
        chance = [1 - _none_right(int(row.sum()), right.shape[1], k) for row in right]
        found[k] = {
            "recall": sum(hit) / len(hit),
            "interval": list(clustered(hit, clusters)),
            "chance": sum(chance) / len(chance),
        }
    return found


def _none_right(right: int, of: int, k: int) -> float:
    """The chance that k drawn ones are all wrong."""
    share = 1.0
    for at in range(min(k, of)):
        share *= max(0, of - right - at) / (of - at)
    return share
