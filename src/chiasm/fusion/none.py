"""The null answer: nothing enters."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.spec import Host, Work
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import RowPlan


@dataclass(frozen=True)
class NoFusion:
    """Text alone; images in a prompt are left out, without a row."""

    def plan(self, layer: int) -> RowPlan:
        return RowPlan()

    @property
    def reads_memory(self) -> bool:
        return False

    @property
    def enters(self) -> bool:
        return False

    @property
    def looks_ahead(self) -> bool:
        return False

    def token_width(self, host: Host) -> int:
        return host.width

    def placeholders(self, tokens: int) -> int:
        return 0

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots()

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0

    def cached_row(self, host: Host) -> int:
        return 0
