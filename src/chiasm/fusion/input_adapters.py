"""Adapters between the words' table and the first layer, one for each kind of row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.fusion.around import Around
from chiasm.spec import Host, Work
from chiasm.spec.answer import Fusion
from chiasm.spec.bank import chosen
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import Rows


@dataclass(frozen=True, kw_only=True)
class InputAdapters(Around):
    """e + B act(A e) for the rows that enter, A `rank x width`, B zero at first; each of `kinds`
    has a pair of its own, other rows stay (AdaLink, arXiv 2310.12100). `activation` None: none.
    """

    fusion: Fusion
    kinds: tuple[Rows, ...]
    rank: int
    activation: str | None = None
    bank: int | None = None
    """So many sets of pairs; `Inputs.adapter` names each sample's. None: one set, of every sample.
    """

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        slots = self.fusion.fill(host, parts)
        if 0 in slots.before:
            raise Misuse("something acts before the first layer already; adapters have no place")
        one = EnteringPairs(self, host.width)
        sets = None if self.bank is None else EnteringBank(self, host.width, self.bank)
        return replace(slots, before={**slots.before, 0: one if sets is None else sets})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        """Every pair runs over every row; what a row is not of is then left out."""
        own = self.fusion.work(host, text, tokens, width)
        macs = 2 * text * host.width * self.rank * len(self.kinds)
        return (*own, Work("decoder", "input adapters", macs))


class EnteringPairs(nn.Module):
    """Every row is adapted by the pair of its kind: `[batch, token, width]` to the same."""

    def __init__(self, config: InputAdapters, width: int) -> None:
        super().__init__()
        self.config = config
        self.a = nn.Parameter(torch.empty(len(config.kinds), config.rank, width))
        self.b = nn.Parameter(torch.zeros(len(config.kinds), width, config.rank))
        for matrix in self.a:
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        return entered(self.config, hidden, reading, self.a.unsqueeze(0), self.b.unsqueeze(0))


class EnteringBank(nn.Module):
    """Every sample's rows are adapted by the pairs that it names; one batched product runs all."""

    def __init__(self, config: InputAdapters, width: int, count: int) -> None:
        super().__init__()
        self.config = config
        self.bank = nn.ModuleList(EnteringPairs(config, width) for _ in range(count))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        named = chosen(reading, len(self.bank))
        a, b = (
            torch.stack([pairs.get_parameter(name) for pairs in self.bank])[named]
            for name in ("a", "b")
        )
        return entered(self.config, hidden, reading, a, b)


def entered(
    config: InputAdapters,
    hidden: Float[Tensor, "batch token width"],
    reading: Reading,
    a: Float[Tensor, "set kind rank width"],
    b: Float[Tensor, "set kind width rank"],
) -> Float[Tensor, "batch token width"]:
    """e + B act(A e) by kind of row; one set for all samples, or one each."""
    activation = nn.Identity() if config.activation is None else ACT2FN[config.activation]
    for at, kind in enumerate(config.kinds):
        down, up = a[:, at].to(hidden.dtype), b[:, at].to(hidden.dtype)
        update = activation(hidden @ down.transpose(1, 2)) @ up.transpose(1, 2)
        hidden = hidden + update * kind.select(reading.table).unsqueeze(-1)
    return hidden
