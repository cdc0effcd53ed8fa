"""Words and picture meet behind frozen encoders, as one vector of both features."""

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

PLACE = "joined features"


@dataclass(frozen=True, kw_only=True)
class JoinedFeatures(AsMemory):
    """h = drop(LN(W drop(LN [q; v]) + b)), W to `inner` (Less Is More, arXiv 2206.05281).

    q is a row's final hidden state, v the mean of the picture's tokens that the row may see, zeros
    where there is none. No layer of the host reads a picture.
    """

    features: int
    """Width of the picture's tokens."""
    inner: int
    dropout: float = 0.5

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        if parts.memory_width != self.features:
            raise ValueError(
                f"tokens {parts.memory_width} wide for a fusion that joins {self.features}; state "
                "the width that the connector gives"
            )
        return Slots(epilogue=Trunk(self, host.width))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        joined = linear("decoder", "joined features", text, host.width + width, self.inner)
        if not tokens:
            return (joined,)
        mean = attention("decoder", "mean of features", text * tokens, 1, width, reads=Reads.MEMORY)
        return mean, joined

    def cached(self, host: Host, tokens: int) -> int:
        return self.features * tokens


class Trunk(nn.Module):
    """Final hidden states of the rows to what the heads read."""

    def __init__(self, config: JoinedFeatures, width: int) -> None:
        super().__init__()
        self.features = config.features
        joined = width + config.features
        self.layers = nn.Sequential(
            nn.LayerNorm(joined),
            nn.Dropout(config.dropout),
            nn.Linear(joined, config.inner),
            nn.LayerNorm(config.inner),
            nn.Dropout(config.dropout),
        )

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token inner"]:
        seen, _ = seen_mean(hidden, reading, self.features, PLACE)
        return self.layers(torch.cat([hidden, seen], -1))
