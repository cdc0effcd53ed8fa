"""What Lance leaves to the operating system: that a commit outlives a loss of power.

Lance writes each version's files, then the manifest that names them, and waits for none of them to
reach the disk. `settle` does: after it returns, every file of the table and every name of one is on
the disk. `heal` sets aside a newest version that a loss of power tore before it had settled, so
that the table opens at the version before; nothing is deleted.
"""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from chiasm.errors import ChiasmError

MAGIC = b"LANC"
"""The last bytes of a whole manifest."""
ASIDE = "damaged"
COUNTED_DOWN = 2**64 - 1
"""Manifests are named by what is left to this, so that the newest sorts first."""


class Durable:
    """One table's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settled: dict[Path, tuple[int, int]] = {}
        """Files known to be on the disk, with the time and size that they had."""

    def settle(self) -> None:
        """fsync each file that is new or changed, and then each folder that names one.

        Files of other processes are among them: a version rests on the versions before it.
        """
        fresh: list[tuple[Path, tuple[int, int]]] = []
        for path, state in _files(self.folder):
            if self.settled.get(path) != state and _synced(path):
                fresh.append((path, state))
        folders = {parent for path, _ in fresh for parent in path.parents}
        above = self.folder.parent
        for folder in sorted(folders, reverse=True):
            if folder.is_relative_to(above):
                _synced(folder)
        self.settled.update(fresh)

    def heal(self) -> None:
        """Set aside the newest manifests that are empty or torn, with a warning.

        Raises:
            ChiasmError: none is whole.
        """
        manifests = _manifests(self.folder)
        torn: list[Path] = []
        for path in manifests:
            if _whole(path):
                break
            torn.append(path)
        if not torn:
            return
        if len(torn) == len(manifests):
            raise ChiasmError(f"{self.folder}: no version of the table can be read; restore a copy")
        aside = self.folder / ASIDE
        aside.mkdir(exist_ok=True)
        for path in torn:
            path.rename(aside / path.name)
        (self.folder / "_versions" / "latest_version_hint.json").unlink(missing_ok=True)
        for folder in (aside, self.folder / "_versions", self.folder):
            _synced(folder)
        warnings.warn(
            f"{self.folder}: {len(torn)} unfinished version(s) set aside in {aside}; "
            "what was acknowledged is in the version before",
            stacklevel=2,
        )


def _files(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # Another process cleaned up.
            yield path, (state.st_mtime_ns, state.st_size)


def _synced(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return True


def _manifests(folder: Path) -> list[Path]:
    """Newest first."""
    found: list[tuple[int, Path]] = []
    for path in (folder / "_versions").glob("*.manifest"):
        if path.stem.isdigit():
            number = int(path.stem)
            found.append((COUNTED_DOWN - number if number > COUNTED_DOWN // 2 else number, path))
    return [path for _, path in sorted(found, reverse=True)]


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < len(MAGIC):
            return False
        file.seek(-len(MAGIC), os.SEEK_END)
        return file.read() == MAGIC
