"""The null answer: nothing enters."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.fusion.entry import AsMemory
from chiasm.spec import Host, Work
from chiasm.spec.slots import SlotParts, Slots


@dataclass(frozen=True)
class NoFusion(AsMemory):
    """Text alone; images in a prompt are left out, without a row."""

    @property
    def reads_memory(self) -> bool:
        return False

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots()

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0

    def cached_row(self, host: Host) -> int:
        return 0
