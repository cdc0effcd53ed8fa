"""Values by name: each is entered once, and an unknown name is refused with the nearest ones."""

import importlib
import pkgutil
from collections.abc import Collection
from difflib import get_close_matches
from typing import Generic, TypeVar

from chiasm.errors import Misuse

V = TypeVar("V")


class Registry(Generic[V]):
    """What the files of a package enter as they are imported, which is when it is first asked."""

    def __init__(self, what: str, package: str | None = None, *, hint: str = "") -> None:
        """`what` a value is called in messages; `hint` ends the one about an unknown name."""
        self._what, self._package, self._hint = what, package, hint
        self._values: dict[str, V] = {}

    def enter(self, name: str, value: V) -> V:
        """The value, entered; ValueError if another one has the name."""
        if name in self._values and self._values[name] != value:
            raise ValueError(f"{self._what} {name!r} is registered twice")
        self._values[name] = value
        return value

    def every(self) -> dict[str, V]:
        """All values by name, in alphabetical order."""
        if self._package is not None:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
        return dict(sorted(self._values.items()))

    def of(self, name: str) -> V:
        """The value of this name.

        Raises:
            Misuse: there is none; the message offers the nearest names.
        """
        known = self.every()
        check_name(name, known, self._what, self._hint)
        return known[name]


def check_name(name: str, known: Collection[str], what: str, hint: str = "") -> None:
    """Refuse a name that is not known, with the nearest ones."""
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise Misuse(f"unknown {what} {name!r}; did you mean {', '.join(near)}?{hint}")
