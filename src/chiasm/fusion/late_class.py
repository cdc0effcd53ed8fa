"""One row of a picture, that enters in mid-stack and is written anew by each layer (eP-ALM)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import Modality, RowPlan, Rows
from chiasm.stream.table import take

PROMPT = Rows.of(Modality.LEARNED)
WORDS = Rows.of(Modality.TEXT, Modality.LEARNED)
ENTERING = ~WORDS


@dataclass(frozen=True, kw_only=True)
class LateClassTokens(AsMemory):
    """Before layer `first` the stack runs without the picture. As each layer i of [first, last)
    begins, the picture's one row becomes its token of level

        (i - first) // step,   step = (last - first) / levels,

    shallow levels first (eP-ALM, arXiv 2303.11403), so that what a layer makes of that row is lost,
    and not computed, until the last of them. Behind it stand `prompts` learned rows, a soft prompt
    that enters with the words. Positions mark them as learned (`chiasm.positions.WordsAlone`).
    """

    first: int
    last: int
    levels: int
    prompts: int

    @property
    def as_wide(self) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ValueError(f"a picture enters in mid-stack, not before layer {self.first}")
        if self.last <= self.first or (self.last - self.first) % self.levels:
            raise ValueError(
                f"layers {self.first} to {self.last - 1} cannot be shared evenly by "
                f"{self.levels} levels"
            )

    @property
    def step(self) -> int:
        return (self.last - self.first) // self.levels

    def plan(self, layer: int) -> RowPlan:
        if layer < self.first:
            return RowPlan(WORDS, WORDS, WORDS, WORDS)
        if layer < self.last - 1:
            return RowPlan(query=WORDS, output=WORDS, feed_forward=WORDS)
        return RowPlan()

    def placeholders(self, tokens: int) -> int:
        return 1 + self.prompts

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        slots: dict[int, nn.Module] = {
            layer: Level(self, (layer - self.first) // self.step)
            for layer in range(self.first, self.last)
        }
        if self.prompts:
            slots[0] = SoftPrompt(self, host)
        return Slots(before=slots)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0

    def place(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Of a row's `source`: which picture of the sample it belongs to, and which of its rows it
        is. A picture counts for as many sources as it has rows, or tokens if those are more.
        """
        rows = 1 + self.prompts
        each = max(rows, self.levels)
        return source // each, source % each - (each - rows)


class Level(nn.Module):
    """The pictures' rows become their tokens of one level, `[batch, picture * levels, width]`."""

    def __init__(self, config: LateClassTokens, level: int) -> None:
        super().__init__()
        self.config, self.level = config, level

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.memory is None or reading.source is None:
            return hidden
        picture, _ = self.config.place(reading.source.clamp(min=0))
        rows = take(reading.memory.tokens, picture * self.config.levels + self.level)
        here = ENTERING.select(reading.table) & (reading.source >= 0)
        return torch.where(here.unsqueeze(-1), rows.to(hidden.dtype), hidden)


class SoftPrompt(nn.Module):
    """Learned rows become learned vectors, as words do (Lester et al. 2021, arXiv 2104.08691)."""

    def __init__(self, config: LateClassTokens, host: Host) -> None:
        super().__init__()
        self.config = config
        std = host.initial_std if host.embedding_std is None else host.embedding_std
        self.prompt = nn.Parameter(torch.randn(config.prompts, host.width) * std)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.source is None:
            return hidden
        _, row = self.config.place(reading.source.clamp(min=0))
        rows = self.prompt[(row - 1).clamp(0, self.config.prompts - 1)].to(hidden.dtype)
        here = PROMPT.select(reading.table) & (reading.source >= 0)
        return torch.where(here.unsqueeze(-1), rows, hidden)
