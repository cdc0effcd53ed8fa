"""The files of a folder, each with the hash of its bytes; nothing outside the folder is opened."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chiasm.data.source import printable
from chiasm.errors import Misuse
from chiasm.ingestion.reading import File

Stamp = tuple[int, int, int, int]
"""Size, times of the last change of bytes and of anything, in nanoseconds, and inode."""
_CHUNK = 2**20
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What a folder holds."""

    files: tuple[File, ...]
    """By path."""
    stamps: Mapping[str, Stamp]
    skipped: tuple[tuple[str, str], ...]
    """Paths that are no files of the folder, and why."""


def walk(
    root: Path,
    *,
    leave_out: Sequence[Path] = (),
    known: Mapping[str, tuple[Stamp, str]] | None = None,
    hashed: Callable[[str], None] = lambda path: None,
) -> Walk:
    """Every file below `root`, hidden ones left out.

    A link is followed if it leads to a file inside `root`, and a file is listed once however many
    names lead to it. `known` gives stamps and hashes of an earlier walk; a file with an equal stamp
    is not read again.

    Raises:
        Misuse: no such folder.
    """
    if not root.is_dir():
        named = printable(str(root))
        what = "is not a folder" if root.exists() else "no such folder"
        raise Misuse(f"{named}: {what}; name the folder that holds the files")
    root = root.resolve()
    places, links, skipped = _listed(root, {path.resolve() for path in leave_out})
    seen = {root / path for path in places}
    for path in links:
        target, why = _followed(root, path)
        if target is None:
            skipped.append((path, why))
        elif target not in seen:
            seen.add(target)
            places.append(path)
    files, stamps = [], {}
    for path in sorted(places):
        try:
            stamp = stamp_of(root / path)
            old = (known or {}).get(path)
            sha256 = old[1] if old and old[0] == stamp else sha256_of(root / path)
        except OSError as error:
            skipped.append((path, f"cannot be read ({error.strerror}); check its permissions"))
            continue
        files.append(File(root=root, path=path, sha256=sha256, size=stamp[0]))
        stamps[path] = stamp
        hashed(path)
    return Walk(files=tuple(files), stamps=stamps, skipped=tuple(sorted(skipped)))


def stamp_of(place: Path) -> Stamp:
    """Differs after every change of a file: no tool can set the time of its last change back."""
    now = place.stat()
    return now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino


def sha256_of(place: Path) -> str:
    digest = hashlib.sha256()
    with place.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def inside(root: Path, place: Path) -> bool:
    """Whether a path, its links followed, stays in the folder."""
    return place.resolve().is_relative_to(root)


def _listed(root: Path, leave_out: set[Path]) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Paths of plain files, paths of links, and what is neither, with the reason."""
    places, links, skipped = [], [], []

    def unlisted(error: OSError) -> None:
        path = Path(error.filename).relative_to(root).as_posix()
        skipped.append((path, f"cannot be listed ({error.strerror}); check its permissions"))

    for parent, folders, names in os.walk(root, onerror=unlisted):
        here = Path(parent)
        kept = [one for one in folders if not one.startswith(".") and here / one not in leave_out]
        linked = [one for one in kept if (here / one).is_symlink()]
        folders[:] = sorted(set(kept) - set(linked))
        for name in (*names, *linked):
            if name.startswith("."):
                continue
            place = here / name
            path = place.relative_to(root).as_posix()
            mode = place.lstat().st_mode
            if not _utf8(path):
                skipped.append((printable(path), "its name is not UTF-8; rename it"))
            elif stat.S_ISLNK(mode):
                links.append(path)
            elif stat.S_ISREG(mode):
                places.append(path)
            else:
                skipped.append((path, f"is {_SPECIAL.get(stat.S_IFMT(mode), 'no plain file')}"))
    return places, sorted(links), skipped


def _followed(root: Path, path: str) -> tuple[Path | None, str]:
    """The file inside `root` that a link leads to, or why there is none to read."""
    try:
        target = (root / path).resolve(strict=True)
    except (OSError, RuntimeError):
        return None, "is a link to nothing"
    if not target.is_relative_to(root):
        return None, "is a link out of the folder; copy the file here to have it read"
    if target.is_dir():
        return None, "is a link to a folder, which is read where it stands"
    if not target.is_file():
        return None, "is a link to no plain file"
    return target, ""


def _utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
