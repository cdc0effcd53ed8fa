"""Methods as text: `vscan:keep=0.1`, or several that run one after the other, joined with `+`."""

import ast
import re
from collections.abc import Sequence

from chiasm.compression.method import HostShape, Method, method
from chiasm.compression.reducer import Reducer
from chiasm.errors import Misuse

_COMMA = r",(?![^(]*\))"
"""A comma outside of brackets."""


def stated_methods(text: str) -> tuple[Method, ...]:
    """The methods of `name:key=value,key=value+name:…`; values are Python literals, else text.

    Raises:
        Misuse: text of another form, or no such method or setting.
    """
    return tuple(_one(part.strip()) for part in text.split("+"))


def stated(text: str) -> tuple[str, dict[str, object]]:
    """Name and settings of `name:key=value,key=value`."""
    name, _, listed = map(str.strip, text.partition(":"))
    settings: dict[str, object] = {}
    for pair in filter(None, map(str.strip, re.split(_COMMA, listed))):
        key, equals, value = map(str.strip, pair.partition("="))
        if not key or not equals or not value:
            raise Misuse(f"{text}: {pair!r} is no key=value; write such as vscan:keep=0.1")
        if key in settings:
            raise Misuse(f"{text}: {key} is given twice")
        settings[key] = _value(value)
    return name, settings


def _one(text: str) -> Method:
    name, settings = stated(text)
    keep = settings.pop("keep", None)
    if not name or isinstance(keep, bool) or not isinstance(keep, int | float):
        raise Misuse(
            f"{text or 'an empty method'}: name a method and the share of visual tokens that it "
            f"keeps, such as {name or 'vscan'}:keep=0.1"
        )
    return method(name, keep=keep, **settings)


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def together(methods: Sequence[Method], shape: HostShape) -> tuple[Reducer, ...]:
    """All reducers of methods that run together, ascending by site; at one site in given order."""
    every = [reducer for one in methods for reducer in one.reducers(shape)]
    return tuple(sorted(every, key=lambda reducer: reducer.site.layer))
