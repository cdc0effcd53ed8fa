"""A library: a folder that holds what was made of another folder's files, to search in."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

from chiasm.embedders.named import DEFAULT, named
from chiasm.errors import Misuse
from chiasm.ingestion import Options
from chiasm.library import backends, config
from chiasm.library.config import Config
from chiasm.library.indexing import Report, Watch, index
from chiasm.library.reranking.reranker import Reranker
from chiasm.library.searching import search
from chiasm.library.vectors import Vectors
from chiasm.retrieval.embedder import Embedder
from chiasm.retrieval.query import Query
from chiasm.retrieval.store import Store
from chiasm.retrieval.unit import Hit, Unit
from chiasm.retrieval.where import Where

STORE = "store"


class Library:
    """`Library.create` or `Library.open` makes one; it closes with `close` or as a context."""

    def __init__(self, location: Path, settings: Config, embedder: Embedder | None = None) -> None:
        self.location = location
        self.config = settings
        self._embedder = embedder

    @classmethod
    def create(
        cls,
        location: str | Path,
        *,
        embedder: str = DEFAULT,
        backend: str = "lance",
        store: str = STORE,
    ) -> "Library":
        """An empty library in a folder of its own.

        Args:
            location: The folder, made if need be.
            embedder: A name or a folder, as `chiasm.embedders.named` takes it.
            backend: `lance` or `qdrant`.
            store: Where the rows are kept: a folder inside, or an address (`s3://…`).

        Raises:
            Misuse: something stands there already, or a name is unknown.
        """
        place = Path(location)
        backends.check(backend)
        if (place / config.FILE).exists():
            raise Misuse(f"{place}: holds a library already; open it, or choose another folder")
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise Misuse(f"{place}: is not empty and no library; choose another folder")
        model = named(embedder)
        width = Vectors(model).width
        place.mkdir(parents=True, exist_ok=True)
        known = embedder if not Path(embedder).is_dir() else str(Path(embedder).resolve())
        settings = Config(embedder=known, width=width, backend=backend, store=store)
        config.write(place, settings)
        return cls(place, settings, model)

    @classmethod
    def open(cls, location: str | Path) -> "Library":
        """A library that was made before.

        Raises:
            Misuse: there is none.
            ChiasmError: it cannot be read.
        """
        place = Path(location)
        return cls(place, config.read(place))

    @property
    def folder(self) -> Path:
        """Whose files it holds; units' paths begin there.

        Raises:
            Misuse: nothing was indexed yet.
        """
        if not self.config.folder:
            raise Misuse(f"{self.location}: is empty; fill it with `chiasm index`")
        return Path(self.config.folder)

    @cached_property
    def store(self) -> Store:
        where = self.config.store
        inside = "://" not in where
        return backends.store_of(
            self.config.backend, str(self.location / where) if inside else where
        )

    @cached_property
    def vectors(self) -> Vectors:
        """Its embedder, loaded when first used.

        Raises:
            Misuse: it is another one than the rows were made by.
        """
        found = Vectors(self._embedder or named(self.config.embedder))
        if found.width != self.config.width:
            raise Misuse(
                f"{self.location}: its vectors are {self.config.width} wide, and "
                f"{self.config.embedder} now gives {found.width}; index into a new library"
            )
        return found

    @property
    def embedder(self) -> Embedder:
        """The one that its vectors are made by."""
        return self.vectors.embedder

    def index(
        self,
        folder: str | Path,
        *,
        options: Options | None = None,
        workers: int | None = None,
        watch: Watch | None = None,
    ) -> Report:
        """Make the library hold what a folder holds now: read what is new or has changed, carry
        over what has moved, forget what is gone.

        May be killed at any time and run again. A second process waits for the first.

        Args:
            folder: Always the same one, or where that one now is.
            options: How files are read.
            workers: Processes that read; 0 reads in this one, None takes one a core.
            watch: Told what is going on.

        Raises:
            Misuse: no such folder, or the library holds another one.
        """
        return index(self, Path(folder), options or Options(), workers, watch or Watch())

    def search(
        self, query: Query, *, reranker: Reranker | None = None, rerank: int = 50
    ) -> list[Hit]:
        """The units that answer a query best; a reranker puts the first `rerank` in its order.

        Raises:
            Misuse: a query that cannot be meant: parts that cancel out, a picture for an embedder
                that takes none, an unknown unit.
        """
        return search(self.store, self.vectors, query, reranker, rerank)

    def units(self, ids: Sequence[str]) -> list[Unit]:
        """In the order of `ids`; ids that are not there are left out."""
        return self.store.units(ids)

    def count(self, where: Where | None = None) -> int:
        """How many units a filter selects."""
        return self.store.count(where)

    def belongs_to(self, folder: Path) -> None:
        """Note whose files it holds.

        Raises:
            Misuse: those of another folder that is still there.
        """
        before = self.config.folder
        if before == str(folder):
            return
        if before and Path(before).is_dir():
            raise Misuse(
                f"{self.location} holds the files of {before}, not of {folder}; "
                f"index that folder, or choose another library"
            )
        self.config = replace(self.config, folder=str(folder))
        config.write(self.location, self.config)

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()

    def __enter__(self) -> "Library":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
