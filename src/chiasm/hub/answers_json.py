"""Answers as JSON and back; what is read can only become a value of chiasm's own rooms."""

import enum
import functools
import importlib
import pkgutil
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Union, get_args, get_origin, get_type_hints

from chiasm.errors import ChiasmError

ROOMS = (
    "spec",
    "stream",
    "encoders",
    "connectors",
    "fusion",
    "visibility",
    "positions",
    "experts",
    "compression",
    "heads",
    "objectives",
    "data.pixels",
    "embedders.stages",
    "embedders.batches",
    "embedders.pages",
    "retrieval.mining",
)
"""Where answers live. No other module is ever imported for what a file says."""

_KIND, _TUPLE = "is", "tuple"
_PLAIN = (bool, int, float, str)
_DEEPEST = 32


def to_json(value: Any) -> Any:
    """A frozen dataclass, enum, tuple or plain value as JSON-able data.

    Raises:
        ChiasmError: a value of a class outside `ROOMS`.
    """
    if isinstance(value, enum.Enum):
        return {_KIND: _name_of(type(value)), "value": value.value}
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return {_TUPLE: [to_json(entry) for entry in value]}
    if is_dataclass(value) and not isinstance(value, type):
        entries = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: _name_of(type(value)), **entries}
    raise ChiasmError(f"a {type(value).__name__} cannot be written as an answer: {value!r:.100}")


def from_json(data: Any, *, depth: int = 0) -> Any:
    """The value that `to_json` wrote.

    Raises:
        ChiasmError: an unknown class or field, a missing one, or a value of another type.
    """
    if depth > _DEEPEST:
        raise ChiasmError(f"the answers are nested deeper than {_DEEPEST}; save them again")
    if data is None or type(data) in _PLAIN:
        return data
    if isinstance(data, dict) and set(data) == {_TUPLE} and isinstance(data[_TUPLE], list):
        return tuple(from_json(entry, depth=depth + 1) for entry in data[_TUPLE])
    if isinstance(data, dict) and isinstance(data.get(_KIND), str):
        entries = {name: entry for name, entry in data.items() if name != _KIND}
        return _made(data[_KIND], entries, depth)
    raise ChiasmError(f"{data!r:.100} is not an answer; save the checkpoint again")


def _made(name: str, entries: Mapping[str, Any], depth: int) -> Any:
    known = answer_classes()
    if name not in known:
        near = get_close_matches(name, known, n=2, cutoff=0.4)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise ChiasmError(f"the answers name {name!r}, which this chiasm does not have{hint}")
    kind = known[name]
    if issubclass(kind, enum.Enum):
        try:
            return kind(entries.get("value"))
        except ValueError:
            said = ", ".join(str(member.value) for member in kind)
            raise ChiasmError(f"{name} is one of {said}, not {entries.get('value')!r}") from None
    held = {field.name: field for field in fields(kind) if field.init}
    unknown = [entry for entry in entries if entry not in held]
    absent = [
        field.name
        for field in held.values()
        if field.name not in entries and field.default is field.default_factory is MISSING
    ]
    if unknown or absent:
        said = f"unknown field {unknown[0]!r}" if unknown else f"missing field {absent[0]!r}"
        raise ChiasmError(f"the answer {name} has an {said}; known: {', '.join(held)}")
    values = {entry: from_json(given, depth=depth + 1) for entry, given in entries.items()}
    hints = get_type_hints(kind)
    for entry, value in values.items():
        if not _fits(value, hints[entry]):
            raise ChiasmError(
                f"the answer {name} has {entry} = {value!r:.80}, not a {_said(hints[entry])}"
            )
    try:
        return kind(**values)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ChiasmError(
            f"the answer {name} is not possible: {' '.join(str(error).split())}"
        ) from None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of its field's type; protocols and generics take any answer."""
    origin = get_origin(hint)
    if hint is Any or (origin is not None and origin not in (Union, types.UnionType, tuple)):
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if origin is tuple or hint is tuple:
        return isinstance(value, tuple) and _entries_fit(value, get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    if hint in _PLAIN or hint in (None, type(None)):
        return value is None if hint in (None, type(None)) else type(value) is hint
    if isinstance(hint, type) and not getattr(hint, "_is_protocol", False):
        return isinstance(value, hint)
    return is_dataclass(value)


def _entries_fit(value: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if not hints:
        return True
    if len(hints) == 2 and hints[1] is Ellipsis:
        return all(_fits(entry, hints[0]) for entry in value)
    return len(value) == len(hints) and all(map(_fits, value, hints))


def _said(hint: Any) -> str:
    return getattr(hint, "__name__", None) or str(hint)


def _name_of(kind: type) -> str:
    names = {held: name for name, held in answer_classes().items()}
    if kind not in names:
        raise ChiasmError(f"a {kind.__name__} of {kind.__module__} is no answer that can be saved")
    return names[kind]


@functools.cache
def answer_classes() -> Mapping[str, type]:
    """Every answer by `room.Class`, which stays when a class moves to another file of its room."""
    found: dict[str, type] = {}
    for room in ROOMS:
        package = importlib.import_module(f"chiasm.{room}")
        inside = pkgutil.iter_modules(getattr(package, "__path__", []))
        modules = [
            package,
            *(importlib.import_module(f"{package.__name__}.{m.name}") for m in inside),
        ]
        for module in modules:
            for held in vars(module).values():
                if isinstance(held, type) and held.__module__ == module.__name__:
                    _enter(found, room, held)
    return types.MappingProxyType(found)


def _enter(found: dict[str, type], room: str, kind: type) -> None:
    is_answer = is_dataclass(kind) or issubclass(kind, enum.Enum)
    if not is_answer or kind.__name__.startswith("_"):
        return
    name = f"{room}.{kind.__name__}"
    if found.get(name, kind) is not kind:
        raise ValueError(f"two answers are called {name}; rename one")
    found[name] = kind
