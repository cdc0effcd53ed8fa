"""What a word refers to is added to the word: the vector of a box joins its embedding (B2T2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.seen_mean import seen_mean
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear


@dataclass(frozen=True, kw_only=True)
class AddedBoxes(AsMemory):
    """Before the first layer, h <- h + tanh(W (r_b + code_b) + c) (B2T2, arXiv 1908.05054).

    r_b is the mean of the tokens that a row may see: under `OwnUnit` those of the box that the row
    names, a box being a view of the picture, named by its tag. A row that names none adds tanh(c).
    Boxes take no row of the sequence.
    """

    boxes: int
    """Codes: boxes are units 0, 1, …, and those beyond share the last."""
    initial_std: float = 0.02

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(before={0: AddBoxes(self, host.width, parts.memory_width)})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        joined = linear("decoder", "box into word", text, width, host.width)
        if not tokens:
            return (joined,)
        pairs = text * tokens
        mean = attention("decoder", "mean of box", pairs, 1, width + 1, reads=Reads.MEMORY)
        return mean, joined

    def cached(self, host: Host, tokens: int) -> int:
        return 0


class AddBoxes(nn.Module):
    """Embeddings of words to the same with what they refer to."""

    def __init__(self, config: AddedBoxes, width: int, features: int) -> None:
        super().__init__()
        self.features = features
        self.codes = nn.Embedding(config.boxes, features)
        self.join = nn.Linear(features, width)
        for weight in (self.codes.weight, self.join.weight):
            nn.init.normal_(weight, std=config.initial_std)
        nn.init.zeros_(self.join.bias)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        # Tags stand in the prompt: nothing is kept for later steps.
        seen, there = seen_mean(hidden, reading, self.features, None)
        code = self.codes(reading.table.unit.clamp(max=self.codes.num_embeddings - 1))
        box = torch.where(there.unsqueeze(-1), seen + code, 0.0)
        return hidden + self.join(box).tanh()
