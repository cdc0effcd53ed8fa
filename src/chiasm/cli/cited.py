"""Where a hit stands, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chiasm.retrieval.unit import Hit


def cited(hit: "Hit") -> str:
    """Where a hit stands: path, page, seconds or line."""
    unit = hit.unit
    if unit.page is not None:
        return f"{unit.path}, page {unit.page}"
    if unit.start is not None and unit.end is not None:
        return f"{unit.path}, {_clock(unit.start)}–{_clock(unit.end)}"
    if "line" in unit.metadata:
        return f"{unit.path}, line {unit.metadata['line']}"
    return unit.path


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
