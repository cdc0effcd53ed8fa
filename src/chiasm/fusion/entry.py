"""How media tokens enter, as far as fusions of one kind agree: as a memory, as rows, or as both.

Each kind writes its whole answer; a fusion states what it answers otherwise.
"""

from chiasm.spec import Host
from chiasm.stream import RowPlan


class AsMemory:
    """Layers read the tokens, which take no row; every row of the sequence does all the work."""

    @property
    def projects(self) -> bool:
        return False

    @property
    def as_wide(self) -> bool:
        return False

    @property
    def gives_states(self) -> bool:
        return False

    @property
    def most_axes(self) -> int | None:
        return None

    def plan(self, layer: int) -> RowPlan:
        return RowPlan()

    @property
    def reads_memory(self) -> bool:
        return True

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

    def cached_row(self, host: Host) -> int:
        return 0

    def idle(self, host: Host) -> int:
        return 0


class AsRows(AsMemory):
    """Each token takes a row, which does all the work like any other; nothing reads it besides."""

    @property
    def reads_memory(self) -> bool:
        return False

    @property
    def enters(self) -> bool:
        return True

    def placeholders(self, tokens: int) -> int:
        return tokens


class AsRowsAndMemory(AsRows):
    """Kept tokens take rows, and layers (or a prologue) read tokens besides."""

    @property
    def reads_memory(self) -> bool:
        return True
