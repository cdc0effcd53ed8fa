"""What becomes of the tokens: the plain ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chiasm.compression.evidence import Evidence, Look
from chiasm.compression.reducer import Reduction


@dataclass(frozen=True)
class Drop:
    """The best scored stay as they are, the others are gone. Ties: the earlier token stays."""

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        return Reduction(best(scores, count))


@dataclass(frozen=True)
class EvenlySpaced:
    """Every n-th token stays, whatever its score: the control `uniform`."""

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        return Reduction(evenly(evidence.tokens, count, scores.device))


def best(scores: Tensor, count: int) -> Tensor:
    """Numbers of the `count` highest scores, ascending; of equal ones the earlier."""
    return scores.sort(descending=True, stable=True).indices[:count].sort().values


def evenly(tokens: int, count: int, device: torch.device) -> Tensor:
    """`count` numbers below `tokens`, evenly spaced: floor((i + 1/2) tokens / count)."""
    steps = torch.arange(count, device=device)
    return ((2 * steps + 1) * tokens) // (2 * max(1, count))
