"""The law of vision representation: an encoder's score as a quadratic form of A and C.

Law of Vision Representation in MLLMs: score ~ sum over i + j <= 2 of w_ij A^i C^j. A is alignment
(`chiasm.inspection.alignment`), C correspondence; neither needs the language model to be taught.
Six weights need six settings or more; with fewer, or against noise, a ridge on all but w_00.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.inspection.ranks import pearson, spearman

EXPONENTS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
"""(i, j) of A^i C^j, in the order of the weights."""

ALONE = {"A": ((0, 0), (1, 0), (2, 0)), "C": ((0, 0), (0, 1), (0, 2)), "AC": EXPONENTS}
"""The terms of the law, and of either score alone."""


@dataclass(frozen=True)
class Law:
    """A fitted form."""

    terms: Sequence[tuple[int, int]]
    weights: Float[Tensor, " term"]

    def __call__(self, a: Sequence[float], c: Sequence[float]) -> list[float]:
        """The predicted scores."""
        return (design(a, c, self.terms) @ self.weights).tolist()


def design(
    a: Sequence[float], c: Sequence[float], terms: Sequence[tuple[int, int]] = EXPONENTS
) -> Float[Tensor, "setting term"]:
    """A^i C^j of every setting."""
    one, two = (torch.tensor(list(given), dtype=torch.float64) for given in (a, c))
    return torch.stack([one**i * two**j for i, j in terms], 1)


def fit_law(
    a: Sequence[float],
    c: Sequence[float],
    scores: Sequence[float],
    *,
    terms: Sequence[tuple[int, int]] = EXPONENTS,
    ridge: float = 0.0,
) -> Law:
    """Least squares, plus `ridge` times the squares of all weights but the constant's.

    The ridge acts on A and C as they are, which lie in [-1, 1] and [0, 1].

    Raises:
        Misuse: lists of unequal lengths, or fewer settings than weights without a ridge.
    """
    if not len(a) == len(c) == len(scores):
        raise Misuse(f"{len(a)} A, {len(c)} C and {len(scores)} scores; give one each a setting")
    if ridge <= 0 and len(scores) < len(terms):
        raise Misuse(
            f"{len(scores)} settings for {len(terms)} weights; score more settings or give a ridge"
        )
    x = design(a, c, terms)
    held = ridge * torch.diag(torch.tensor([float(i + j > 0) for i, j in terms]).double())
    y = torch.tensor(list(scores), dtype=torch.float64)
    weights = torch.linalg.lstsq(
        torch.cat([x, held.sqrt()]), torch.cat([y, y.new_zeros(len(terms))])
    )
    return Law(terms, weights.solution)


def leave_one_out(
    a: Sequence[float],
    c: Sequence[float],
    scores: Sequence[float],
    *,
    terms: Sequence[tuple[int, int]] = EXPONENTS,
    ridge: float = 0.0,
) -> list[float]:
    """Each setting's score as the law of all the others predicts it."""
    found: list[float] = []
    for out in range(len(scores)):
        kept = [at for at in range(len(scores)) if at != out]
        law = fit_law(
            [a[at] for at in kept],
            [c[at] for at in kept],
            [scores[at] for at in kept],
            terms=terms,
            ridge=ridge,
        )
        found += law([a[out]], [c[out]])
    return found


@dataclass(frozen=True)
class Ranking:
    """How a law's predictions of settings that it was not shown go with their scores."""

    pearson: float
    spearman: float
    predicted: Sequence[float]


def ranking(
    a: Sequence[float], c: Sequence[float], scores: Sequence[float], which: str, ridge: float
) -> Ranking:
    """Of the law by "A", "C" or "AC", leaving each setting out in turn."""
    predicted = leave_one_out(a, c, scores, terms=ALONE[which], ridge=ridge)
    return Ranking(pearson(predicted, scores), spearman(predicted, scores), predicted)
