"""What a decoder shows a reducer: hidden states of tokens and words, attention at a layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.compressing.rows import Rows
from chiasm.compressing.sample import Sample, Seen, reduced
from chiasm.compression.evidence import Asks, DecoderAttention, Look, Question
from chiasm.compression.reducer import Reducer


class Attends(Protocol):
    """Recomputes a layer's attention for some queries of one sample."""

    def __call__(
        self,
        batch: int,
        own: Int[Tensor, " row"],
        queries: Int[Tensor, " query"],
        *,
        logits: bool,
    ) -> Float[Tensor, "head query row"]:
        """`own` are the sample's places in the batch's rows, `queries` count among those."""
        ...


@dataclass(frozen=True)
class Shown:
    """The batch before a layer."""

    hidden: Tensor
    rows: Rows
    past: int
    attends: Attends | None = None
    """The layer's attention; None at the entry."""
    earlier: Attends | None = None
    """That of the layer before, among the same rows."""

    def now(self, hidden: Tensor, rows: Rows, attends: Attends | None) -> "Shown":
        """The batch when some of it is gone: what the layer before saw is no longer to be had."""
        return replace(self, hidden=hidden, rows=rows, attends=attends, earlier=None)

    def of(self, batch: int, sample: Sample, needs: Sequence[Look]) -> Seen:
        """One sample of it, with the looks that are the decoder's to give."""
        own = self.rows.alive[batch].nonzero().squeeze(1)
        numbers = self.rows.index[batch, own] - self.past
        row = torch.searchsorted(numbers, sample.rows)
        slots = own[row]
        looks: dict[Look, Tensor] = {}
        for look in needs if len(sample) else ():
            if isinstance(look, DecoderAttention):
                attends = self.earlier if look.back else self.attends
                assert attends is not None
                queries = _asking(look.asks, own, row)
                looks[look] = attends(batch, own, queries, logits=look.logits)
            elif isinstance(look, Question):
                looks[look] = self.hidden[batch, own[_asking(Asks.QUESTION, own, row)]]
        return Seen(self.hidden[batch, slots], slots, row, looks)

    def reduced(
        self, reducer: Reducer, samples: Sequence[Sample], projector: nn.Module | None
    ) -> tuple[Float[Tensor, "batch row width"], Bool[Tensor, "batch row"]] | None:
        """What all rows hold from now on, and which of them go; None: nothing changes. The samples
        then hold what stays.
        """
        left = [
            reduced(reducer, sample, self.of(batch, sample, reducer.needs), projector)
            for batch, sample in enumerate(samples)
        ]
        if all(one.everything for one in left):
            return None
        gone, hidden = torch.zeros_like(self.rows.alive), self.hidden
        if any(one.hidden is not None for one in left):
            hidden = hidden.clone()
        for batch, one in enumerate(left):
            gone[batch, one.gone] = True
            if one.hidden is not None:
                hidden[batch, one.slots] = one.hidden.to(hidden)
        return hidden, gone


def _asking(asks: Asks, own: Tensor, visual: Tensor) -> Tensor:
    """Which of the sample's rows are the queries."""
    count = own.numel()
    if asks is Asks.LAST:
        return torch.tensor([count - 1], device=own.device)
    first = 0 if asks is Asks.ALL else int(visual[-1]) + 1
    return torch.arange(first, count, device=own.device)
