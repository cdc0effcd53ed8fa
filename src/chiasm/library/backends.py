"""The engines that keep a library's rows, by name."""

from collections.abc import Callable, Mapping

from chiasm.errors import Misuse
from chiasm.retrieval.store import Store


def _lance(location: str) -> Store:
    from chiasm.retrieval.lance import Lance

    return Lance.open(location)


def _qdrant(location: str) -> Store:
    from chiasm.retrieval.qdrant import Qdrant

    return Qdrant.open(location)


BACKENDS: Mapping[str, Callable[[str], Store]] = {"lance": _lance, "qdrant": _qdrant}


def store_of(backend: str, location: str) -> Store:
    """An open store at a folder or an address, made if there is none.

    Raises:
        Misuse: an unknown engine, or one that is not installed.
    """
    check(backend)
    return BACKENDS[backend](location)


def check(backend: str) -> None:
    if backend not in BACKENDS:
        raise Misuse(f"no backend is called {backend!r}; choose {' or '.join(BACKENDS)}")
