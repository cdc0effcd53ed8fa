"""What the decoder shows a reducer: hidden states of tokens and words, attention at a layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from chiasm.compressing.decoder_attention import attention_rows
from chiasm.compressing.rows import Rows
from chiasm.compressing.sample import Sample, Seen
from chiasm.compression.evidence import Asks, DecoderAttention, Look, Question


@dataclass(frozen=True)
class Shown:
    """The batch before a layer."""

    hidden: Tensor
    rows: Rows
    past: int
    layer: nn.Module | None = None
    tables: tuple[Tensor, ...] = ()
    """Cosines and sines of the rows."""
    held: tuple[Tensor, Rows] | None = None
    """Keys of earlier calls at this layer, and their rows."""
    earlier: "Shown | None" = None
    """The same batch, the same rows, before the layer before."""

    def now(self, hidden: Tensor, rows: Rows, tables: tuple[Tensor, ...]) -> "Shown":
        """The batch when some of it is gone: what the layer before saw is no longer to be had."""
        return replace(self, hidden=hidden, rows=rows, tables=tables, earlier=None)

    def of(self, batch: int, sample: Sample, needs: Sequence[Look]) -> Seen:
        """One sample of it, with the looks that are the decoder's to give."""
        own = self.rows.alive[batch].nonzero().squeeze(1)
        numbers = self.rows.index[batch, own] - self.past
        row = torch.searchsorted(numbers, sample.rows)
        slots = own[row]
        looks: dict[Look, Tensor] = {}
        for look in needs if len(sample) else ():
            if isinstance(look, DecoderAttention):
                of = self.earlier if look.back else self
                assert of is not None
                looks[look] = of.attention(batch, own, self._asking(look.asks, own, row), look)
            elif isinstance(look, Question):
                looks[look] = self.hidden[batch, own[self._asking(Asks.QUESTION, own, row)]]
        return Seen(self.hidden[batch, slots], slots, row, looks)

    def _asking(self, asks: Asks, own: Tensor, visual: Tensor) -> Tensor:
        """Which of the sample's rows are the queries."""
        count = own.numel()
        if asks is Asks.LAST:
            return torch.tensor([count - 1], device=own.device)
        first = 0 if asks is Asks.ALL else int(visual[-1]) + 1
        return torch.arange(first, count, device=own.device)

    @torch.no_grad()
    def attention(self, batch: int, own: Tensor, queries: Tensor, look: DecoderAttention) -> Tensor:
        """`[head, query, row]` among a sample's rows."""
        assert self.layer is not None
        index = self.rows.index[batch, own]
        columns, keys = index, None
        alive = torch.ones_like(columns, dtype=torch.bool)
        if self.held is not None:
            keys, held = self.held[0][batch], self.held[1]
            columns = torch.cat([held.index[batch], columns])
            alive = torch.cat([held.alive[batch], alive])
        tables = [table.expand(self.hidden.shape[0], -1, -1)[batch, own] for table in self.tables]
        return attention_rows(
            self.layer,
            self.hidden[batch, own],
            (tables[0], tables[1]),
            queries,
            (columns <= index[queries].unsqueeze(1)) & alive,
            keys,
            logits=look.logits,
        )
