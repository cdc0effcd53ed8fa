"""PCME's head (arXiv 2101.05068): a mean and a deviation of an item's tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.reduce import mean_over
from chiasm.embedders.states import States
from chiasm.layers import softmax_over


@dataclass(frozen=True, kw_only=True)
class MeanAndDeviation:
    """[mean; log sigma], `out` numbers each.

    mean = LN(W m + sigmoid(V a)) at length one, log sigma = W' m + V' a': m is the tokens' mean, a
    and a' are reads by a two-layer tanh attention, one each. `start` is the bias of W' at first:
    unit vectors under draws as wide as one a number are told apart by nothing, and towers that
    nobody taught then learn that nothing matches.
    """

    out: int
    start: float | None = None
    """None: as a linear layer's bias begins, which draws widely."""

    def width(self, width: int) -> int:
        return 2 * self.out

    def build(self, width: int) -> nn.Module:
        return _MeanAndDeviation(width, self)


class AttentionPool(nn.Module):
    """sum_t softmax_t(w2 tanh(W1 x_t)) x_t over real tokens, then V."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        half = width // 2
        self.score = nn.Sequential(
            nn.Linear(width, half, bias=False), nn.Tanh(), nn.Linear(half, 1, bias=False)
        )
        self.value = nn.Linear(width, out)

    def forward(self, states: States) -> Tensor:
        weight = softmax_over(self.score(states.tokens).squeeze(-1), states.valid)
        return self.value((weight.unsqueeze(-1) * states.tokens).sum(1))


class _MeanAndDeviation(nn.Module):
    def __init__(self, width: int, config: MeanAndDeviation) -> None:
        super().__init__()
        out = config.out
        self.mean, self.deviation = nn.Linear(width, out), nn.Linear(width, out)
        self.mean_read, self.deviation_read = AttentionPool(width, out), AttentionPool(width, out)
        self.norm = nn.LayerNorm(out)
        if config.start is not None:
            nn.init.constant_(self.deviation.bias, config.start)

    def forward(self, states: States) -> States:
        pooled = mean_over(states.tokens, states.valid)
        mean = self.norm(self.mean(pooled) + self.mean_read(states).sigmoid())
        log_sigma = self.deviation(pooled) + self.deviation_read(states)
        mean = nn.functional.normalize(mean, dim=-1)
        return states.alone(torch.cat([mean, log_sigma], -1))
