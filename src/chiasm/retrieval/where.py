"""Filters over metadata: `type=pdf and page>3`, as a tree that every engine can translate."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from chiasm.errors import Misuse
from chiasm.retrieval.fields import EITHER, TEXTS, Fields, Value, check_text, check_value
from chiasm.retrieval.filter_tokens import Token, tokens, unquoted, unreadable

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
"""`~` is: contains, whatever the case."""
DEEPEST = 50
"""Levels of parentheses and `not`; more are nobody's wish."""
LONGEST = 20_000
"""Characters of a filter."""
NUMBER = re.compile(r"[+-]?(\d+|(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+)\Z", re.ASCII)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Compare:
    """One field against one value; a row without the field matches only `!=`.

    Words equal words and numbers equal numbers: `"7"` and 7 differ. Words are ordered by code
    point. A metadata key named as a field of units is hidden by it.

    Raises:
        Misuse: an unknown operator, or a value that the field cannot have.
    """

    field: str
    operator: str
    value: Value

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise Misuse(f"{self.operator!r} compares nothing; use {' '.join(OPERATORS)}")
        check_text("field", self.field)
        check_value(self.field, self.value)
        if self.operator == "~" and not isinstance(self.value, str):
            raise Misuse(f"~ asks what words contain, not {self.value!r}; quote it, or use =")
        if self.field == "type" and self.operator not in ("=", "!=", "~"):
            raise Misuse(f"type has no order, so that {self.operator} says nothing; use = or !=")


@dataclass(frozen=True)
class Among:
    """A field equal to one of several values."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_text("field", self.field)
        for value in self.values:
            check_value(self.field, value)


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


def parse(text: str) -> Where:
    """A filter from its text.

    Comparisons `field op value`, op one of = != < <= > >= ~ (contains, whatever the case), or
    `field in (a, b)`, joined by `and`, `or`, `not` and parentheses; `and` binds closer than `or`.
    Fields are `type` (what a unit is, or its file's suffix), `path`, `title`, `text`, `page`,
    `start`, `end`, `kind`, `suffix`, `id`, `file`, or a metadata key. Values with spaces are
    quoted, `"…"` or `'…'`; a backslash stands before a quote or a backslash inside. An unquoted
    number is a number, except in a field of words.

    Raises:
        Misuse: what cannot be read, and where.
    """
    if len(text) > LONGEST:
        raise Misuse(f"filter of {len(text)} characters; give at most {LONGEST}")
    reader = _Reader(tokens(text))
    found = reader.either(0)
    if reader.now.sort != "end":
        raise unreadable(reader.now, "`and`, `or` or the end")
    return found


class _Reader:
    """Tokens from left to right; one method a level of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.now
        self.place += token.sort != "end"
        return token

    def says(self, *words: str) -> bool:
        return self.now.sort in ("word", "sign") and self.now.text.lower() in words

    def accept(self, word: str) -> bool:
        if self.says(word):
            self.take()
            return True
        return False

    def demand(self, sign: str) -> None:
        if not self.accept(sign):
            raise unreadable(self.now, f"`{sign}`")

    def either(self, depth: int) -> Where:
        return self.joined("or", Any_, self.both, depth)

    def both(self, depth: int) -> Where:
        return self.joined("and", All, self.one, depth)

    def joined(
        self,
        word: str,
        make: Callable[[tuple[Where, ...]], Where],
        part: Callable[[int], Where],
        depth: int,
    ) -> Where:
        parts = [part(depth)]
        while self.accept(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else make(tuple(parts))

    def one(self, depth: int) -> Where:
        if depth > DEEPEST:
            raise Misuse(f"filter, character {self.now.at}: more than {DEEPEST} levels deep")
        if self.accept("not"):
            return Not(self.one(depth + 1))
        if self.accept("("):
            found = self.either(depth + 1)
            self.demand(")")
            return found
        return self.comparison()

    def comparison(self) -> Where:
        field = self.take()
        if field.sort not in ("word", "quoted"):
            raise unreadable(field, "a field")
        name = unquoted(field)
        if self.accept("in"):
            self.demand("(")
            values = [self.value(name)]
            while self.accept(","):
                values.append(self.value(name))
            self.demand(")")
            return _placed(field, lambda: Among(name, tuple(values)))
        operator = self.take()
        if operator.sort != "sign" or operator.text not in OPERATORS:
            raise unreadable(operator, f"`in` or one of {' '.join(OPERATORS)}")
        value = self.value(name, words=operator.text == "~")
        return _placed(field, lambda: Compare(name, operator.text, value))

    def value(self, field: str, *, words: bool = False) -> Value:
        token = self.take()
        if token.sort not in ("word", "quoted"):
            raise unreadable(token, "a value")
        bare = token.sort == "word" and not words and field not in TEXTS
        if bare and NUMBER.match(token.text):
            # Python refuses to read whole numbers of thousands of digits.
            whole = token.text.lstrip("+-").isdigit() and len(token.text) < 20
            return int(token.text) if whole else float(token.text)
        return unquoted(token)


def _placed(field: Token, make: Callable[[], Made]) -> Made:
    """What says no to a value does not know where it stood."""
    try:
        return make()
    except Misuse as error:
        raise Misuse(f"filter, character {field.at}: {error}") from None


def plain(where: Where) -> Where:
    """The same filter with `type` replaced by what it stands for; engines translate this one."""
    match where:
        case All(parts):
            return All(tuple(map(plain, parts)))
        case Any_(parts):
            return Any_(tuple(map(plain, parts)))
        case Not(part):
            return Not(plain(part))
        case Among("type" | "kind" | "suffix" as field, values):
            names = tuple(map(_ending, values))
            return Any_(tuple(Among(one, names) for one in EITHER if field in (one, "type")))
        case Compare("type", operator, value):
            parts = tuple(Compare(field, operator, _ending(value)) for field in EITHER)
            return All(parts) if operator == "!=" else Any_(parts)
        case Compare("kind" | "suffix" as field, operator, value):
            return Compare(field, operator, _ending(value))
    return where


def _ending(value: Value) -> str:
    return str(value).lower().removeprefix(".")


def holds(where: Where, fields: Fields) -> bool:
    """Whether a filter selects a row: the slow reference of what engines do."""
    return _holds(plain(where), fields)


def _holds(where: Where, fields: Fields) -> bool:
    match where:
        case All(parts):
            return all(_holds(part, fields) for part in parts)
        case Any_(parts):
            return any(_holds(part, fields) for part in parts)
        case Not(part):
            return not _holds(part, fields)
        case Among(field, values):
            return any(_compared(fields.get(field), "=", value) for value in values)
        case Compare(field, operator, value):
            return _compared(fields.get(field), operator, value)


def _compared(found: Value | None, operator: str, value: Value) -> bool:
    if found is None or isinstance(found, str) != isinstance(value, str):
        return operator == "!="
    return COMPARED[operator](found, value)


COMPARED: Mapping[str, Callable[..., bool]] = {
    "=": lambda found, value: found == value,
    "!=": lambda found, value: found != value,
    "<": lambda found, value: found < value,
    "<=": lambda found, value: found <= value,
    ">": lambda found, value: found > value,
    ">=": lambda found, value: found >= value,
    "~": lambda found, value: value.lower() in found.lower(),
}
