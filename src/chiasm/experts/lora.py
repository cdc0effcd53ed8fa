"""Low-rank deltas of a linear layer (LoRA, arXiv 2106.09685): plain, by row group, by sample.

All are zero at first, since B is; each is called as `delta(x, reading)` on the rows that the layer
reads. `merge()` gives the matrix that the delta adds, where one exists for every row alike.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.experts.gates import SampleGate
from chiasm.experts.groups import by_group
from chiasm.spec.reading import Reading
from chiasm.stream import Rows


class LowRank(nn.Module):
    """scale B A x, A `[rank, width]` and B `[out, rank]`."""

    def __init__(
        self, width: int, out: int, rank: int, *, scale: float, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.scale, self.dropout = scale, dropout
        self.a = nn.Parameter(torch.empty(rank, width))
        self.b = nn.Parameter(torch.zeros(out, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading | None = None
    ) -> Float[Tensor, "batch token out"]:
        x = F.dropout(x, self.dropout, self.training)
        return self.scale * F.linear(F.linear(x, self.a), self.b)

    def merge(self) -> Float[Tensor, "out width"]:
        return self.scale * self.b @ self.a


class GroupLowRank(nn.Module):
    """Each row group's own low-rank pair: scale B_g A_g x (MM-LoRA, arXiv 2410.13733)."""

    def __init__(self, groups: Sequence[Rows], pairs: Sequence[LowRank]) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.pairs = nn.ModuleList(pairs)

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token out"]:
        return by_group(x, reading, self.groups, [*self.pairs])

    def merge(self) -> Float[Tensor, "out width"]:
        raise Misuse(
            f"a low-rank delta with {len(self.groups)} row groups depends on the row: "
            f"it cannot be merged into one matrix"
        )


class SampleLowRank(nn.Module):
    """scale sum_e w_e B_e A_e x, the experts and weights chosen once for each sample.

    With a shared expert s, a sample's one expert e of weight w gives
    scale [w B_e A_e x + (1 - w) B_s A_s x] (Awaker2.5-VL, arXiv 2411.10669). Only a sample's own
    matrices are read: its pairs are gathered, and one batched product runs them. Equals
    `sample_low_rank_slowly`.
    """

    def __init__(
        self,
        width: int,
        out: int,
        rank: int,
        experts: int,
        *,
        scale: float,
        dropout: float,
        gate: SampleGate,
        owns_gate: bool,
        shared: LowRank | None,
        squared: bool,
    ) -> None:
        super().__init__()
        self.scale, self.dropout, self.squared = scale, dropout, squared
        self.a = nn.Parameter(torch.empty(experts, rank, width))
        self.b = nn.Parameter(torch.zeros(experts, out, rank))
        for matrix in self.a:
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
        self.shared = shared
        self.gate = gate if owns_gate else None
        # Sites that share a gate hold it unregistered, so that its weights are stored once.
        self._gate = (gate,)

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token out"]:
        expert, weight = self._gate[0](reading)
        x = F.dropout(x, self.dropout, self.training)
        own = x.new_zeros(())
        for place in range(expert.shape[1]):
            at = expert[:, place]
            inner = x @ self.a[at].to(x.dtype).transpose(1, 2)
            product = inner @ self.b[at].to(x.dtype).transpose(1, 2)
            own = own + self._own(weight[:, place]).view(-1, 1, 1).to(x.dtype) * product
        own = self.scale * own
        if self.shared is None:
            return own
        return own + (1 - weight.sum(1)).view(-1, 1, 1).to(x.dtype) * self.shared(x)

    def _own(self, weight: Tensor) -> Tensor:
        """The release multiplies by w twice; the paper's equation once."""
        return weight.square() if self.squared else weight

    def merge(self) -> Float[Tensor, "out width"]:
        raise Misuse(
            f"a low-rank delta routed among {len(self.a)} experts depends on the sample: "
            f"it cannot be merged into one matrix"
        )


def sample_low_rank_slowly(module: SampleLowRank, x: Tensor, reading: Reading) -> Tensor:
    """Every expert on every sample, weighed; the reference of `SampleLowRank`, without dropout."""
    expert, weight = module._gate[0](reading)
    table = torch.zeros(x.shape[0], len(module.a)).scatter(1, expert, weight)
    out = torch.zeros(*x.shape[:2], module.b.shape[1])
    for e in range(len(module.a)):
        w = table[:, e] ** (2 if module.squared else 1)
        out = out + module.scale * w.view(-1, 1, 1) * (x @ module.a[e].T @ module.b[e].T)
    if module.shared is not None:
        out = out + (1 - table.sum(1)).view(-1, 1, 1) * module.shared(x)
    return out
