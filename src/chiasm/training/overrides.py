"""Single answers replaced by name, as `--set host.width=64` asks: values in, new values out."""

import ast
import dataclasses
from collections.abc import Iterable
from typing import Any

from chiasm.errors import Misuse
from chiasm.spec import Answers


def override(answers: Answers, settings: Iterable[str]) -> Answers:
    """`answers` with each `a.b=value` applied in turn; a number in the path picks from a tuple.

    A value is a Python literal (`2e-3`, `True`, `(3, 5)`, `None`), anything else is text; it must
    be of the type it replaces. Raises Misuse naming the fields there are.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise Misuse(f"--set {setting}: write a field and a value, such as host.width=64")
        answers = _replaced(answers, path.strip().split("."), text.strip(), setting)
    return answers


def _replaced(owner: Any, path: list[str], text: str, setting: str) -> Any:
    if not path:
        return _value(text, owner, setting)
    name, *rest = path
    if isinstance(owner, tuple):
        if not name.isdigit() or int(name) >= len(owner):
            raise Misuse(f"--set {setting}: {name!r} is not one of 0 to {len(owner) - 1}")
        at = int(name)
        return (*owner[:at], _replaced(owner[at], rest, text, setting), *owner[at + 1 :])
    fields = [field.name for field in dataclasses.fields(owner)] if _is_answer(owner) else []
    if name not in fields:
        raise Misuse(
            f"--set {setting}: {type(owner).__name__} has no field {name!r}; "
            f"it has {', '.join(fields) or 'none'}"
        )
    found = _replaced(getattr(owner, name), rest, text, setting)
    try:
        return dataclasses.replace(owner, **{name: found})
    except ValueError as error:
        raise Misuse(f"--set {setting}: {error}") from None


def _is_answer(owner: Any) -> bool:
    return dataclasses.is_dataclass(owner) and not isinstance(owner, type)


def _value(text: str, before: Any, setting: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(before, float) and type(value) is int:
        value = float(value)
    if _is_answer(before):
        raise Misuse(f"--set {setting}: {type(before).__name__} is set field by field; name one")
    if before is not None and value is not None and not isinstance(value, type(before)):
        raise Misuse(
            f"--set {setting}: {text!r} is not a {type(before).__name__}, as {before!r} is"
        )
    return value
