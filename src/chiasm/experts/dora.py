"""Weight-decomposed low-rank adaptation: direction by a low-rank pair, length by a vector."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.experts.adapters import Gates, Uniform
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Site
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class DoRA(Uniform):
    """W' = m V / ||V||, V = W + alpha / rank B A, norms over each output's row of the matrix
    (arXiv 2402.09353). m is stored as its distance from ||W||, so that W may be filled in later.

    Beside W every call works out W x again and ||V|| anew (rank x width x out multiply-adds, which
    are no row's): merge before serving.
    """

    sites: tuple[Site, ...]
    rank: int
    alpha: float

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return Decomposed(width, out, self.rank, scale=self.alpha / self.rank)

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return self.rank * (width + out) + width * out


class Decomposed(nn.Module):
    """(s - 1) W x + s scale B A x, s = m / ||W + scale B A||: what turns W x into W' x.

    The norm in s is a constant for the gradient, as the paper has it (its section 4.3).
    """

    def __init__(self, width: int, out: int, rank: int, *, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.a = nn.Parameter(torch.empty(rank, width))
        self.b = nn.Parameter(torch.zeros(out, rank))
        self.length = nn.Parameter(torch.zeros(out))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self._beside: tuple[nn.Linear, ...] = ()

    def stand_beside(self, linear: nn.Linear) -> None:
        """Learn whose W is turned; it is not stored twice."""
        self._beside = (linear,)

    def factor(self) -> Float[Tensor, " out"]:
        """s: 1 while B and the length are zero."""
        weight = self._beside[0].weight.detach()
        turned = (weight + self.scale * (self.b @ self.a)).detach().norm(dim=1)
        return (weight.norm(dim=1) + self.length) / turned

    def forward(
        self, x: Float[Tensor, "*row width"], reading: Reading | None = None
    ) -> Float[Tensor, "*row out"]:
        linear, factor = self._beside[0], self.factor()
        low = self.scale * F.linear(F.linear(x, self.a), self.b)
        return (factor - 1) * F.linear(x, linear.weight) + factor * low

    def merge(self) -> Float[Tensor, "out width"]:
        weight, factor = self._beside[0].weight, self.factor().unsqueeze(1)
        return (factor - 1) * weight + factor * self.scale * (self.b @ self.a)
