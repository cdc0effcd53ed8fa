"""Single answers replaced by name, as `--set host.width=64` asks: values in, new values out."""

import ast
import dataclasses
from collections.abc import Iterable
from enum import Enum
from typing import Any, cast

from chiasm.errors import Misuse
from chiasm.spec.answers import Answers


def override(answers: Answers, settings: Iterable[str]) -> Answers:
    """`answers` with every `a.b=value` applied, all at once; a number in a path picks from a tuple.

    A value is a Python literal (`2e-3`, `True`, `(3, 5)`, `None`), anything else is text; it must
    be of the type it replaces. Raises Misuse naming the fields there are.
    """
    tree: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        names = [name.strip() for name in path.split(".")]
        if not equals or not all(names):
            raise Misuse(f"--set {setting}: write a field and a value, such as host.width=64")
        branch: dict[str, Any] = tree
        for name in names[:-1]:
            below: Any = branch.setdefault(name, {})
            if not isinstance(below, dict):
                raise Misuse(f"--set {setting}: {name} is set as a whole too; keep one of the two")
            branch = cast("dict[str, Any]", below)
        branch[names[-1]] = text.strip()
    return _replaced(answers, tree, "") if tree else answers


def _replaced(owner: Any, tree: dict[str, Any], path: str) -> Any:
    """`owner` with the branches of `tree` in place; those it checks together arrive together."""
    owned: dict[str, Any] = {}
    if _is_answer(owner):
        owned = {field.name: getattr(owner, field.name) for field in dataclasses.fields(owner)}
    elif _kind(owner) == "tuple":
        owned = {str(at): value for at, value in enumerate(owner)}
    new: dict[str, Any] = {}
    for name, branch in tree.items():
        here = f"{path}.{name}" if path else name
        if name not in owned:
            raise Misuse(
                f"--set {here}: {_kind(owner)} has no {name!r}; "
                f"it has {', '.join(owned) or 'no fields'}"
            )
        if isinstance(branch, dict):
            new[name] = _replaced(owned[name], cast("dict[str, Any]", branch), here)
        else:
            new[name] = _value(owned[name], branch, here)
    if not _is_answer(owner):
        return tuple((owned | new).values())
    try:
        return dataclasses.replace(owner, **new)
    except ValueError as error:
        raise Misuse(f"--set {path or '(answers)'}: {error}") from None


def _kind(value: Any) -> str:
    return type(value).__name__


def _is_answer(owner: Any) -> bool:
    return dataclasses.is_dataclass(owner) and not isinstance(owner, type)


def _member(before: Enum, value: Any, path: str) -> Enum:
    try:
        return type(before)(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in type(before))
        raise Misuse(f"--set {path}={value}: choose {known}") from None


def _value(before: Any, text: str, path: str) -> Any:
    if _is_answer(before):
        raise Misuse(f"--set {path}={text}: {type(before).__name__} is set by its fields; name one")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(before, float) and type(value) is int:
        value = float(value)
    if isinstance(before, Enum):
        return _member(before, value, path)
    if before is not None and value is not None and type(value) is not type(before):
        kind = type(before).__name__
        raise Misuse(f"--set {path}={text}: not of type {kind}, as {before!r} is")
    return value
