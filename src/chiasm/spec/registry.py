"""Every system is registered once; duplicates and unknown names raise, naming what exists."""

import difflib

from chiasm.errors import Misuse
from chiasm.spec.system import System

_systems: dict[str, System] = {}


def register(value: System) -> System:
    """Enter a system; a second one of the same slug is refused."""
    if value.slug in _systems and _systems[value.slug] != value:
        raise ValueError(f"system {value.slug!r} is registered twice")
    _systems[value.slug] = value
    return value


def registered() -> dict[str, System]:
    """All systems by slug, in alphabetical order."""
    _load()
    return dict(sorted(_systems.items()))


def system(slug: str) -> System:
    """The system of this slug.

    Raises:
        Misuse: no such system; the message offers the nearest names.
    """
    _load()
    if slug not in _systems:
        near = difflib.get_close_matches(slug, _systems, n=3, cutoff=0.4) or sorted(_systems)
        raise Misuse(f"unknown system {slug!r}; did you mean {', '.join(near)}? (chiasm systems)")
    return _systems[slug]


def _load() -> None:
    import importlib
    import pkgutil

    package = importlib.import_module("chiasm.systems")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"chiasm.systems.{module.name}")
