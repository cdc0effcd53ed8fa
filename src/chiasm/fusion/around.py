"""A fusion around another: it answers as the other does, and fills a slot that is still free."""

from collections.abc import Sequence

from chiasm.spec import Host, Work
from chiasm.spec.answer import Fusion
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import RowPlan


class Around:
    """The answers of `fusion`, a field of what derives from this."""

    fusion: Fusion

    def plan(self, layer: int) -> RowPlan:
        return self.fusion.plan(layer)

    @property
    def enters(self) -> bool:
        return self.fusion.enters

    @property
    def looks_ahead(self) -> bool:
        return self.fusion.looks_ahead

    @property
    def reads_memory(self) -> bool:
        return self.fusion.reads_memory

    @property
    def projects(self) -> bool:
        return self.fusion.projects

    @property
    def as_wide(self) -> bool:
        return self.fusion.as_wide

    @property
    def gives_states(self) -> bool:
        return self.fusion.gives_states

    @property
    def most_axes(self) -> int | None:
        return self.fusion.most_axes

    def token_width(self, host: Host) -> int:
        return self.fusion.token_width(host)

    def placeholders(self, tokens: int) -> int:
        return self.fusion.placeholders(tokens)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return self.fusion.fill(host, parts)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return self.fusion.work(host, text, tokens, width)

    def cached(self, host: Host, tokens: int) -> int:
        return self.fusion.cached(host, tokens)

    def cached_row(self, host: Host) -> int:
        return self.fusion.cached_row(host)

    def idle(self, host: Host) -> int:
        return self.fusion.idle(host)
