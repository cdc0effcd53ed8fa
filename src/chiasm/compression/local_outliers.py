"""Local outlier factors of numbers (Breunig et al. 2000), and the share of outliers as a budget."""

import torch
from jaxtyping import Float
from torch import Tensor

OUTLYING = 1.5
"""The factor above which a value is an outlier, as scikit-learn's `LocalOutlierFactor` has it."""


def outlier_factors(values: Float[Tensor, " value"], neighbours: int) -> Float[Tensor, " value"]:
    """How much sparser each value lies than its k nearest: about 1 inside a cluster, more outside.

    LOF(a) = mean_{b in N(a)} lrd(b) / lrd(a),  lrd(a) = 1 / mean_{b in N(a)} max(d_k(b), |a - b|),

    N(a) the k nearest others, d_k(b) the distance from b to the k-th of its own. Fewer values than
    k have all others as neighbours; one alone has factor 1.
    """
    given = values.double()
    k = min(neighbours, len(given) - 1)
    if k < 1:
        return torch.ones_like(given)
    distance = (given.unsqueeze(0) - given.unsqueeze(1)).abs()
    distance.fill_diagonal_(torch.inf)
    near, who = distance.topk(k, largest=False)
    reach = torch.maximum(near[:, -1][who], near)
    density = 1 / (reach.mean(1) + 1e-10)
    return density[who].mean(1) / density


def outlier_share(values: Float[Tensor, " value"], neighbours: int) -> float:
    """The share of values that are outliers; 0 where all are equal, or there is none."""
    if not len(values):
        return 0.0
    return float((outlier_factors(values, neighbours) > OUTLYING).double().mean())
