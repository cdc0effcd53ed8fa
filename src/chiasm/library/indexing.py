"""From a folder to a library's rows: only what changed is read, and a crash costs only time."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from chiasm.ingestion import File, Options, Reading, Walk, key_of, walk
from chiasm.ingestion.reading_apart import readings
from chiasm.ingestion.walk import Stamp, stamp_of
from chiasm.library.journal import Entry, Journal
from chiasm.library.moving import moved
from chiasm.library.planning import Plan, plan
from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Kind
from chiasm.retrieval.where import Among, Compare

if TYPE_CHECKING:
    from chiasm.library.library import Library

LOCK = ".lock"
ROWS, SECONDS = 256, 5.0
"""Rows that are written at once, and how long rows wait for that."""
_PATHS = 500
_MOST_WORKERS = 8


class Watch:
    """What is told of a long indexing; this one listens to nothing."""

    def waits(self) -> None:
        """Another process is indexing this library."""

    def begins(self, what: str, total: int) -> None:
        """A part of the work, of so many files; 0 where that is unknown."""

    def advances(self) -> None:
        """One file more."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of the files of a folder."""

    files: int
    read: int
    unchanged: int
    moved: int
    deleted: int
    units: dict[str, int]
    """In the library now, by kind."""
    skipped: tuple[tuple[str, str], ...]
    """Paths of which the library holds nothing, and why."""
    notes: tuple[tuple[str, str], ...]
    """Paths of which something is left out, and what."""
    seconds: float


def index(
    library: "Library", folder: Path, options: Options, workers: int | None, watch: Watch
) -> Report:
    """As `Library.index`."""
    began = time.monotonic()
    lock = FileLock(library.location / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        watch.waits()
        lock.acquire()
    try:
        return _Indexing(library, folder, options, workers, watch).run(began)
    finally:
        lock.release()


@dataclass
class _Indexing:
    library: "Library"
    folder: Path
    options: Options
    workers: int | None
    watch: Watch
    stamps: dict[str, Stamp] = field(default_factory=dict)
    altered: list[str] = field(default_factory=list)
    """Paths whose files changed while they were read."""

    def run(self, began: float) -> Report:
        journal = Journal(self.library.location)
        known = {path: (one.stamp, one.file) for path, one in journal.entries.items()}
        self.watch.begins("looking for files", 0)
        found = walk(
            self.folder,
            leave_out=[self.library.location],
            known=known,
            hashed=lambda path: self.watch.advances(),
        )
        self.library.belongs_to(self.folder.resolve())
        self.stamps = dict(found.stamps)
        store = self.library.store
        todo = plan(found, journal.entries, store.files(), self.options)
        self._forget(todo.deleted)
        for old, file in todo.moved:
            self._move(journal, old, file)
        self._read(journal, todo)
        # Stamps of files that were only touched.
        for file in todo.unchanged:
            entry = journal.entries[file.path]
            journal.entries[file.path] = replace(entry, stamp=self.stamps[file.path])
        journal.keep(file.path for file in found.files)
        if todo.to_read or todo.moved or todo.deleted:
            self.watch.begins("bringing the index up to date", 0)
            store.maintain()
        return self._report(journal, found, todo, began)

    def _forget(self, paths: Sequence[str]) -> None:
        for start in range(0, len(paths), _PATHS):
            some = tuple(paths[start : start + _PATHS])
            self.library.store.delete(Among("path", some))

    def _move(self, journal: Journal, old: str, file: File) -> None:
        """The rows first, then the entry, then the old rows: a crash between leaves both, of which
        the next run forgets the one whose file is gone.
        """
        store = self.library.store
        rows = store.select(Compare("path", "=", old))
        units = moved([row.unit for row in rows], file)
        new = [
            replace(row, unit=unit)
            if row.unit.title == unit.title and row.tokens is None
            else self.library.vectors.rows([unit])[0]
            for row, unit in zip(rows, units, strict=True)
        ]
        self._forget([file.path])
        store.put(new)
        entry = journal.entries[old]
        journal.add([replace(entry, path=file.path, stamp=self.stamps[file.path])])
        self._forget([old])

    def _read(self, journal: Journal, todo: Plan) -> None:
        if not todo.to_read:
            return
        self.watch.begins("reading", len(todo.to_read))
        for some in self._gathered(todo.to_read):
            whole = [(file, one) for file, one in some if self._same(file)]
            units = [unit for _, reading in whole for unit in reading.units]
            rows: list[Row] = self.library.vectors.rows(units) if units else []
            # A file has its old rows, none, or all new ones.
            self._forget([file.path for file, _ in whole])
            if rows:
                self.library.store.put(rows)
            journal.add(self._entry(file, reading) for file, reading in whole)

    def _gathered(self, files: Sequence[File]) -> Iterator[list[tuple[File, Reading]]]:
        """Readings as they come, several of few units together."""
        some: list[tuple[File, Reading]] = []
        since, rows = time.monotonic(), 0
        for file, reading in readings(files, self.options, self._count(len(files))):
            some.append((file, reading))
            rows += len(reading.units)
            self.watch.advances()
            if rows >= ROWS or time.monotonic() - since >= SECONDS:
                yield some
                some, since, rows = [], time.monotonic(), 0
        if some:
            yield some

    def _count(self, files: int) -> int:
        if self.workers is not None:
            return self.workers
        return min(os.cpu_count() or 1, _MOST_WORKERS, max(1, files // 4))

    def _same(self, file: File) -> bool:
        """Whether a file is still what was hashed; if not, the next run reads it."""
        try:
            same = stamp_of(file.place) == self.stamps[file.path]
        except OSError:
            same = False
        if not same:
            self.altered.append(file.path)
        return same

    def _entry(self, file: File, reading: Reading) -> Entry:
        return Entry(
            path=file.path,
            file=file.sha256,
            stamp=self.stamps[file.path],
            key=key_of(file, self.options),
            units=len(reading.units),
            notes=reading.notes,
            beside=dict(reading.beside),
        )

    def _report(self, journal: Journal, found: Walk, todo: Plan, began: float) -> Report:
        skipped = [
            *found.skipped,
            *((path, "changed while it was read; index again") for path in self.altered),
        ]
        notes: list[tuple[str, str]] = []
        for path, entry in journal.entries.items():
            if path not in self.altered:
                (notes if entry.units else skipped).extend((path, one) for one in entry.notes)
        counts = Counter({str(kind): self._count_of(kind) for kind in Kind})
        return Report(
            files=len(found.files),
            read=len(todo.to_read),
            unchanged=len(todo.unchanged),
            moved=len(todo.moved),
            deleted=len(todo.deleted),
            units={kind: count for kind, count in counts.items() if count},
            skipped=tuple(sorted(skipped)),
            notes=tuple(notes),
            seconds=time.monotonic() - began,
        )

    def _count_of(self, kind: Kind) -> int:
        return self.library.store.count(Compare("kind", "=", str(kind)))
