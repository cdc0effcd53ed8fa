"""Every system, by slug."""

from chiasm.registry import Registry
from chiasm.spec.system import System

_SYSTEMS: Registry[System] = Registry("system", "chiasm.systems", hint=" (chiasm systems)")


def register(value: System) -> System:
    """Enter a system; a second one of the same slug is refused."""
    return _SYSTEMS.enter(value.slug, value)


def registered() -> dict[str, System]:
    """All systems by slug, in alphabetical order."""
    return _SYSTEMS.every()


def system(slug: str) -> System:
    """The system of this slug.

    Raises:
        Misuse: no such system; the message offers the nearest names.
    """
    return _SYSTEMS.of(slug)
