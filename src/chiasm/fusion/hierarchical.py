"""Gated reads of several of an encoder's layers: low ones for low layers of the host."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.gated import GatedBlock, GatedCrossAttention
from chiasm.fusion.image_rows import ImageRows
from chiasm.spec import FeedForwards, Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots


@dataclass(frozen=True, kw_only=True)
class HierarchicalReads(AsMemory):
    """The gated blocks of `read`, the b-th of B on level floor(b K / B) of the memory (EVLM, arXiv
    2407.14177): neighbours share a level, from the first to the last.

    A memory token is `levels` K equal shares of channels, one a level. An image holds `rows`
    learned rows of the sequence, which read it as text does. `think` takes the place of a block's
    feed-forward.
    """

    read: GatedCrossAttention
    levels: int
    rows: int
    think: FeedForwards | None = None

    def placeholders(self, tokens: int) -> int:
        return self.rows if tokens else 0

    def level(self, layer: int, depth: int) -> int:
        """The level that the block before a layer reads."""
        layers = self.read.layers(depth)
        return layers.index(layer) * self.levels // len(layers)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        if parts.memory_width % self.levels:
            raise ValueError(
                f"memory tokens {parts.memory_width} wide are not {self.levels} levels side by side"
            )
        width = parts.memory_width // self.levels
        before: dict[int, nn.Module] = {
            layer: LevelBlock(self, host.width, width, self.level(layer, host.depth))
            for layer in self.read.layers(host.depth)
        }
        before[0] = ImageRows(host, self.rows, before.get(0))
        return Slots(before=before)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        each = self.read.work(host, text, tokens, width // self.levels)
        if self.think is None:
            return each
        read = [line for line in each if line.name != "gated feed-forward"]
        thought = tuple(self.think.work(text, host.width))
        return (*read, *thought * len(self.read.layers(host.depth)))

    def idle(self, host: Host) -> int:
        each = 0 if self.think is None else self.think.idle(host.width)
        return len(self.read.layers(host.depth)) * each

    def cached(self, host: Host, tokens: int) -> int:
        return self.read.cached(host, tokens)


class LevelBlock(GatedBlock):
    """A gated block that reads one level of the memory."""

    def __init__(self, config: HierarchicalReads, width: int, level_width: int, level: int) -> None:
        super().__init__(config.read, width, level_width)
        self.levels, self.level = config.levels, level
        self.mixed = config.think is not None
        if config.think is not None:
            self.ff = config.think.build(width)

    def think(self, hidden: Tensor, reading: Reading) -> Tensor:
        return self.ff(hidden, reading) if self.mixed else self.ff(hidden)

    def _keys(self, tokens: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
        own = tokens.unflatten(-1, (self.levels, -1))[..., self.level, :]
        return super()._keys(own, reading)
