"""What a filter sees of a unit, and which values every engine can compare."""

import math
from collections.abc import Mapping
from pathlib import PurePosixPath

from chiasm.errors import Misuse
from chiasm.retrieval.unit import Unit

Value = str | int | float
Fields = Mapping[str, Value | None]
EITHER = ("kind", "suffix")
"""What `type` stands for: what a unit is, or how its file's name ends."""
TEXTS = ("id", "file", "path", "title", "text", "type", *EITHER)
NUMBERS = ("page", "start", "end")
LARGEST = 2**53
"""Whole numbers beyond it are not told apart as floats, which engines compare."""


def check_value(field: str, value: Value) -> None:
    """That a field of units can have the value, and that every engine can compare it."""
    text = isinstance(value, str)
    if field in TEXTS and not text:
        raise Misuse(f"{field} is words and {value!r} is a number; quote it")
    if field in NUMBERS and text:
        raise Misuse(f"{field} is a number and {value!r} is words; give a number")
    if text:
        check_text(field, value)
    elif not math.isfinite(value) or (isinstance(value, int) and abs(value) > LARGEST):
        raise Misuse(f"{field} {value!r} cannot be compared; give at most 2^53, or write it quoted")


def check_text(field: str, text: str) -> None:
    """That it can be written as UTF-8 and passed on to an engine."""
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise Misuse(f"{field} {text[:40]!r} has a character that no text has; take it out")


def fields_of(unit: Unit) -> dict[str, Value | None]:
    """What a filter sees of a unit: `type` is not among them, `kind` and `suffix` are."""
    return {
        # Engines would tell True from 1.
        **{key: int(of) if isinstance(of, bool) else of for key, of in unit.metadata.items()},
        "id": unit.id,
        "file": unit.file,
        "path": unit.path,
        "kind": str(unit.kind),
        "suffix": suffix(unit.path),
        "title": unit.title,
        "text": unit.text,
        "page": unit.page,
        "start": unit.start,
        "end": unit.end,
    }


def suffix(path: str) -> str:
    """How the file's name ends, small and without a dot."""
    return PurePosixPath(path).suffix.lower().removeprefix(".")
