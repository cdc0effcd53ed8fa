"""One stream for all: tokens in the sequence, each marked by what it is (ViLT)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsRows
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import TEXT


@dataclass(frozen=True, kw_only=True)
class SingleStream(AsRows):
    """Tokens take rows of the sequence; before the first layer (arXiv 2102.03334, equation 1)

        text  = LN(word + place + segment) + type_0
        image = patch + place + type_1

    with `segments` learned vectors of BERT's own (0: none). `norm_text=False` leaves the norm out.
    `unit` tells a text row's segment, and which of several images an image row is of (NLVR2).
    """

    types: int = 2
    segments: int = 0
    norm_text: bool = True
    initial_std: float = 0.02

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(before={0: Entry(self, host)})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0


class Entry(nn.Module):
    """Marks the rows of a stream as text or media; text is normed first."""

    def __init__(self, config: SingleStream, host: Host) -> None:
        super().__init__()
        self.types = nn.Embedding(config.types, host.width)
        self.segments = nn.Embedding(config.segments, host.width) if config.segments else None
        self.norm = nn.LayerNorm(host.width, eps=host.norm_eps) if config.norm_text else None
        for table in (self.types, self.segments):
            if table is not None:
                nn.init.normal_(table.weight, std=config.initial_std)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        unit, text = reading.table.unit, TEXT.select(reading.table)
        column = text.unsqueeze(-1)
        if self.segments is not None:
            segment = self.segments(unit.clamp(max=self.segments.num_embeddings - 1))
            hidden = hidden + segment * column
        if self.norm is not None:
            hidden = self.norm(hidden).where(column, hidden)
        image = (unit + 1).clamp(max=self.types.num_embeddings - 1)
        return hidden + self.types(image.masked_fill(text, 0))
