"""What answering asks of a library."""

from collections.abc import Sequence
from typing import Protocol

from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit, Unit
from chiasm.retrieval.where import Where


class Searchable(Protocol):
    """Units that can be searched; `chiasm.library.Library` is one."""

    def search(self, query: Query) -> list[Hit]:
        """The k best units, best first."""
        ...

    def units(self, ids: Sequence[str]) -> list[Unit]:
        """In the order of `ids`; ids that are not there are left out."""
        ...

    def count(self, where: Where | None = None) -> int: ...
