"""Plans over what pictures show: count, largest, how many pictures, which, and which pairs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chiasm.errors import Misuse

TABLE = "shows"
"""A row for each picture and thing that was looked for: `unit, path, folder, thing, number`."""
ON = ("path", "folder", "number")

Query = tuple[str, tuple[str | int, ...]]
"""SQL and its parameters."""
Result = list[list[Any]]
"""What a query gives. A plan's `answer` says it in words, and names the units that it is about;
None for all that were looked at.
"""


@dataclass(frozen=True, kw_only=True)
class Shows:
    """A picture shows between `least` and `most` of a thing; no `most`: or any more."""

    thing: str
    least: int = 1
    most: int | None = None

    def __post_init__(self) -> None:
        if not self.thing.strip():
            raise Misuse("a plan looks for nothing; name a thing")
        if self.least < 0 or (self.most is not None and self.most < self.least):
            raise Misuse(f"no picture shows {self.least} to {self.most} {self.thing}")

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least} {self.thing}"
        if self.least == self.most:
            return f"{self.least or 'no'} {self.thing}"
        return f"{self.least} to {self.most} {self.thing}"

    def units(self) -> Query:
        """The pictures that do; one that was not looked at for the thing shows none of it."""
        most = 2**31 - 1 if self.most is None else self.most
        values = (self.thing, self.least, most)
        sql = f"SELECT unit FROM {TABLE} WHERE thing = ? AND number BETWEEN ? AND ?"
        if self.least > 0:
            return sql, values
        return f"SELECT unit FROM {TABLE} EXCEPT {sql.replace('BETWEEN', 'NOT BETWEEN')}", values


def _all_of(conditions: tuple[Shows, ...]) -> Query:
    parts = [one.units() for one in conditions]
    every = " AND ".join(f"unit IN ({sql})" for sql, _ in parts)
    values = tuple(value for _, values in parts for value in values)
    return f"SELECT DISTINCT unit FROM {TABLE} WHERE {every}", values


@dataclass(frozen=True, kw_only=True)
class Count:
    """COUNT: sum of the thing over the pictures, or over those that meet conditions."""

    do: ClassVar[str] = "count"
    thing: str
    among: tuple[Shows, ...] = ()

    @property
    def things(self) -> tuple[str, ...]:
        return (self.thing, *(one.thing for one in self.among))

    def query(self) -> Query:
        sql, values = f"SELECT coalesce(sum(number), 0) FROM {TABLE} WHERE thing = ?", (self.thing,)
        if not self.among:
            return sql, values
        inner, more = _all_of(self.among)
        return f"{sql} AND unit IN ({inner})", (*values, *more)

    def answer(self, result: Result) -> tuple[str, None]:
        return str(result[0][0]), None

    def __str__(self) -> str:
        among = " and ".join(map(str, self.among))
        return f"count {self.thing}" + (f" in pictures that show {among}" if among else "")


@dataclass(frozen=True, kw_only=True)
class Max:
    """MAX: the most of a thing that one picture shows."""

    do: ClassVar[str] = "max"
    thing: str

    @property
    def things(self) -> tuple[str, ...]:
        return (self.thing,)

    def query(self) -> Query:
        return f"SELECT coalesce(max(number), 0) FROM {TABLE} WHERE thing = ?", (self.thing,)

    def answer(self, result: Result) -> tuple[str, None]:
        return str(result[0][0]), None

    def __str__(self) -> str:
        return f"most {self.thing} in one picture"


@dataclass(frozen=True, kw_only=True)
class In:
    """IN: how many pictures meet all conditions."""

    do: ClassVar[str] = "in"
    among: tuple[Shows, ...]

    @property
    def things(self) -> tuple[str, ...]:
        return tuple(one.thing for one in self.among)

    def query(self) -> Query:
        inner, values = _all_of(self.among)
        return f"SELECT count(*) FROM ({inner})", values

    def answer(self, result: Result) -> tuple[str, None]:
        return str(result[0][0]), None

    def __str__(self) -> str:
        return "number of pictures that show " + " and ".join(map(str, self.among))


@dataclass(frozen=True, kw_only=True)
class Select:
    """Which pictures meet all conditions."""

    do: ClassVar[str] = "select"
    among: tuple[Shows, ...]

    @property
    def things(self) -> tuple[str, ...]:
        return tuple(one.thing for one in self.among)

    def query(self) -> Query:
        inner, values = _all_of(self.among)
        sql = f"SELECT DISTINCT path, unit FROM {TABLE} WHERE unit IN ({inner}) ORDER BY path, unit"
        return sql, values

    def answer(self, result: Result) -> tuple[str, set[str]]:
        return "\n".join(path for path, _ in result) or "No picture.", {unit for _, unit in result}

    def __str__(self) -> str:
        return "pictures that show " + " and ".join(map(str, self.among))


@dataclass(frozen=True, kw_only=True)
class Join:
    """Pairs of different pictures, one of each condition, with the same `on`."""

    do: ClassVar[str] = "join"
    left: Shows
    right: Shows
    on: str

    def __post_init__(self) -> None:
        if self.on not in ON:
            raise Misuse(f"pictures cannot be joined on {self.on!r}; use {', '.join(ON)}")

    @property
    def things(self) -> tuple[str, ...]:
        return (self.left.thing, self.right.thing)

    def query(self) -> Query:
        (left, some), (right, others) = self.left.units(), self.right.units()
        # Both orders of a pair are one pair where both sides ask for the same.
        apart = "<" if self.left == self.right else "<>"
        sql = (
            f"SELECT DISTINCT a.path, b.path, a.unit, b.unit FROM {TABLE} a JOIN {TABLE} b "
            f"ON a.{self.on} = b.{self.on} AND a.unit {apart} b.unit "
            f"WHERE a.thing = ? AND b.thing = ? AND a.unit IN ({left}) AND b.unit IN ({right}) "
            "ORDER BY 1, 2, 3, 4"
        )
        return sql, (self.left.thing, self.right.thing, *some, *others)

    def answer(self, result: Result) -> tuple[str, set[str]]:
        text = "\n".join(f"{left} and {right}" for left, right, *_ in result) or "No pair."
        return text, {unit for pair in result for unit in pair[2:]}

    def __str__(self) -> str:
        return f"pairs of pictures that show {self.left} and {self.right}, with the same {self.on}"


Plan = Count | Max | In | Select | Join
GRAMMAR = (
    "A plan is one JSON object, one of:\n"
    '{"do": "count", "thing": T, "among": [S, ...]}  the number of T over pictures that show S\n'
    '{"do": "max", "thing": T}  the most T in one picture\n'
    '{"do": "in", "among": [S, ...]}  how many pictures show every S\n'
    '{"do": "select", "among": [S, ...]}  which pictures show every S\n'
    '{"do": "join", "left": S, "right": S, "on": "path" or "folder" or "number"}  which pairs\n'
    'where T names a thing in words and S is {"thing": T, "least": number, "most": number}, '
    '"least" being 1 and "most" unlimited where they are left out, and "among" may be empty for '
    "count."
)


def from_json(text: str) -> Plan:
    """The plan that JSON says.

    Raises:
        Misuse: it says none; the message names what disagrees.
    """
    try:
        read = json.loads(text)
    except ValueError as error:
        raise Misuse(f"the plan is no JSON: {error}") from None
    kinds: dict[str, type[Any]] = {kind.do: kind for kind in (Count, Max, In, Select, Join)}
    if not isinstance(read, dict) or read.get("do") not in kinds:
        raise Misuse(f"a plan's 'do' is one of {', '.join(kinds)}")
    given = {name: _value(name, value) for name, value in read.items() if name != "do"}
    if read["do"] in ("in", "select") and not given.get("among"):
        raise Misuse(f"the plan {read['do']} has no conditions; give 'among'")
    try:
        return kinds[read["do"]](**given)
    except TypeError as error:
        said = str(error).partition("__init__() ")[2] or error
        raise Misuse(f"the plan {read['do']}: {said}") from None


def _value(name: str, value: Any) -> Any:
    if name in ("left", "right"):
        return _shows(value)
    if name == "among":
        if not isinstance(value, list):
            raise Misuse(f"the plan's 'among' is {value!r}; give a list of conditions")
        return tuple(_shows(one) for one in value)
    if not isinstance(value, str) or not value.strip():
        raise Misuse(f"the plan's {name!r} is {value!r}; give words")
    return value


def _shows(value: Any) -> Shows:
    if isinstance(value, Mapping) and isinstance(value.get("thing"), str):
        rest = {key: one for key, one in value.items() if key != "thing"}
        whole = all(
            type(one) is int or (one is None and key == "most") for key, one in rest.items()
        )
        if whole and rest.keys() <= {"least", "most"}:
            return Shows(thing=value["thing"], **rest)
    raise Misuse(f"{value!r} is no condition; give {{'thing': words, 'least': n, 'most': n}}")
