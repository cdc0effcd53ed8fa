"""Where on this server a unit is looked at, with the box or the second that is meant."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from chiasm.retrieval.unit import Box, Kind, Unit

PLAYED = (Kind.AUDIO, Kind.VIDEO)
"""Kinds whose file is played; no other file of a library leaves the server."""


def picture_of(unit: Unit, boxes: Sequence[Box] = (), *, small: bool = False) -> str | None:
    """Its picture, if it has one."""
    if unit.picture is None:
        return None
    return _at(unit, "picture", [*_boxes(boxes), *([("small", "true")] if small else [])])


def view_of(unit: Unit, boxes: Sequence[Box] = (), second: float | None = None) -> str:
    """The page on which it is shown."""
    return _at(unit, "view", [*_boxes(boxes), *([] if second is None else [("at", f"{second:g}")])])


def media_of(unit: Unit, second: float | None = None) -> str | None:
    """Its sound or film, from a second on."""
    if unit.kind not in PLAYED:
        return None
    return _at(unit, "media", []) + ("" if second is None else f"#t={second:g}")


def _at(unit: Unit, what: str, asked: Sequence[tuple[str, str]]) -> str:
    address = f"/units/{quote(unit.id, safe='')}/{what}"
    return address + ("?" + urlencode(asked) if asked else "")


def _boxes(boxes: Sequence[Box]) -> list[tuple[str, str]]:
    return [("box", ",".join(f"{edge:.5g}" for edge in box)) for box in boxes]
