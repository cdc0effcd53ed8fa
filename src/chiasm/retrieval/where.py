"""Filters over metadata: `type=pdf and page>3`, as a tree that every engine can translate."""

from collections.abc import Callable
from dataclasses import dataclass

from chiasm.errors import Misuse

Value = str | int | float
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
"""`~` is: contains, whatever the case."""


@dataclass(frozen=True)
class Compare:
    """One field against one value; a row without the field matches only `!=`."""

    field: str
    operator: str
    value: Value

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise Misuse(f"{self.operator!r} compares nothing; use {' '.join(OPERATORS)}")


@dataclass(frozen=True)
class Among:
    """A field equal to one of several values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class All:
    parts: "tuple[Where, ...]"


@dataclass(frozen=True)
class Any_:
    parts: "tuple[Where, ...]"


@dataclass(frozen=True)
class Not:
    part: "Where"


Where = Compare | Among | All | Any_ | Not
Predicate = Callable[[dict[str, Value | None]], bool]
