"""What has to be done so that a library holds what its folder holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from chiasm.ingestion import File, Options, Walk, key_of
from chiasm.library.journal import Entry


@dataclass(frozen=True, kw_only=True)
class Plan:
    unchanged: tuple[File, ...]
    moved: tuple[tuple[str, File], ...]
    """The path where the same bytes stood before, and where they are now."""
    to_read: tuple[File, ...]
    deleted: tuple[str, ...]
    """Paths of rows whose files are gone; those of moved files are not among them."""


def plan(
    walk: Walk, entries: Mapping[str, Entry], stored: Mapping[str, str], options: Options
) -> Plan:
    """Compare a folder with the readings of it and the paths and hashes that have rows.

    A file is left alone if its bytes, its reader with the options that matter to it, and the files
    that it shows are as they were, and its rows are there. It has moved if its bytes were read
    under a name that is gone, in the same way.
    """
    hashes = {file.path: file.sha256 for file in walk.files}
    gone = [path for path in stored if path not in hashes]
    left: dict[str, list[str]] = {}
    for path in sorted(gone):
        left.setdefault(stored[path], []).append(path)
    unchanged, moved, to_read = [], [], []
    for file in walk.files:
        key = key_of(file, options)
        entry = entries.get(file.path)
        if entry is not None and _holds(entry, file, key, hashes, stored):
            unchanged.append(file)
            continue
        old = _before(file, key, left.get(file.sha256, ()), entries)
        if old is None:
            to_read.append(file)
        else:
            left[file.sha256].remove(old)
            moved.append((old, file))
    return Plan(
        unchanged=tuple(unchanged),
        moved=tuple(moved),
        to_read=tuple(to_read),
        deleted=tuple(sorted(path for paths in left.values() for path in paths)),
    )


def _holds(
    entry: Entry, file: File, key: str, hashes: Mapping[str, str], stored: Mapping[str, str]
) -> bool:
    rows = stored.get(file.path) == file.sha256 if entry.units else file.path not in stored
    shown = all(hashes.get(path, "") == sha256 for path, sha256 in entry.beside.items())
    return rows and shown and entry.file == file.sha256 and entry.key == key


def _before(file: File, key: str, gone: Sequence[str], entries: Mapping[str, Entry]) -> str | None:
    """Of the paths that are gone and had the same bytes, one that was read in the same way.

    What a document shows depends on its place: with pictures beside it, it is read again.
    """
    for path in gone:
        entry = entries.get(path)
        if entry is None or entry.beside or (entry.file, entry.key) != (file.sha256, key):
            continue
        if PurePosixPath(path).suffix == PurePosixPath(file.path).suffix:
            return path
    return None
