"""Linear readouts: what features say by themselves, without a word of language."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse


@dataclass(frozen=True)
class Readout:
    """Ridge regression of one-hot classes on standardised features; the largest output wins.

    W = (X^T X + penalty n I)^-1 X^T Y, with X centred and scaled to unit deviation and Y centred.
    """

    mean: Float[Tensor, " width"]
    deviation: Float[Tensor, " width"]
    weights: Float[Tensor, "width class"]
    bias: Float[Tensor, " class"]

    def __call__(self, features: Float[Tensor, "item width"]) -> Int[Tensor, " item"]:
        x = (features.double() - self.mean) / self.deviation
        return (x @ self.weights + self.bias).argmax(1)


def fit_readout(
    features: Float[Tensor, "item width"], labels: Sequence[int], *, penalty: float = 1e-2
) -> Readout:
    """The readout of some labels, numbered from 0.

    Raises:
        Misuse: fewer than two classes, or as many labels as features disagree.
    """
    if len(labels) != len(features) or len(set(labels)) < 2:
        raise Misuse(
            f"{len(labels)} labels of {len(set(labels))} classes for {len(features)} features; "
            "a readout needs one label each, of two classes or more"
        )
    x = features.double()
    mean, deviation = x.mean(0), x.std(0).clamp(min=1e-6)
    x = (x - mean) / deviation
    y = torch.nn.functional.one_hot(torch.tensor(labels)).to(x)
    bias = y.mean(0)
    ridge = penalty * len(x)
    if x.shape[1] <= len(x):
        square = x.T @ x + ridge * torch.eye(x.shape[1], dtype=x.dtype)
        weights = torch.linalg.solve(square, x.T @ (y - bias))
    else:  # the same by the items' own products, which are fewer
        square = x @ x.T + ridge * torch.eye(len(x), dtype=x.dtype)
        weights = x.T @ torch.linalg.solve(square, y - bias)
    return Readout(mean, deviation, weights, bias)


def corrected(accuracy: float, chance: float) -> float:
    """(accuracy - chance) / (1 - chance): 0 is chance, 1 is always right."""
    if chance >= 1:
        raise Misuse("chance is 1: there is one answer only; ask what has several")
    return (accuracy - chance) / (1 - chance)
