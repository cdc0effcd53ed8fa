"""What was read of each file, how and with what result: so that only what changed is read again.

One JSON line a reading, appended after its rows are in the store. Rows are the truth: a line that a
crash kept from being written costs one reading, and changes nothing else.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chiasm.ingestion.walk import Stamp

FILE = "read.jsonl"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file, as it was read."""

    path: str
    file: str
    """SHA-256 of its bytes."""
    stamp: Stamp
    key: str
    """Of how it was read."""
    units: int
    notes: tuple[str, ...] = ()
    beside: dict[str, str] = field(default_factory=dict)


class Journal:
    """The last entry of every path."""

    def __init__(self, location: Path) -> None:
        self._path = location / FILE
        self.entries = {entry.path: entry for entry in self._read()}

    def add(self, entries: Iterable[Entry]) -> None:
        """Append, and be on the disk when this returns."""
        new = list(entries)
        if not new:
            return
        with self._path.open("a", encoding="utf-8") as stream:
            # A line end first: a crash may have left half a line.
            stream.write("\n" + "".join(map(_line, new)))
            stream.flush()
            os.fsync(stream.fileno())
        self.entries |= {entry.path: entry for entry in new}

    def keep(self, paths: Iterable[str]) -> None:
        """Rewrite the file with the entries of these paths only, in one step."""
        kept = set(paths)
        self.entries = {path: one for path, one in self.entries.items() if path in kept}
        new = self._path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as stream:
            stream.writelines(_line(self.entries[path]) for path in sorted(self.entries))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self._path)

    def _read(self) -> Iterable[Entry]:
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    told = json.loads(line)
                    stamp = tuple(told.pop("stamp"))
                    yield Entry(**{**told, "notes": tuple(told["notes"])}, stamp=stamp)  # pyright: ignore
                except (ValueError, KeyError, TypeError, AttributeError):
                    # Empty, or torn by a crash: that file is read again.
                    continue


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False) + "\n"
