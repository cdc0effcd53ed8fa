"""Where fetched parts live, and how a folder is shown to be whole.

A folder is built beside its final place and renamed into it once, complete, with a manifest of
sizes and hashes. A folder without an agreeing manifest counts as absent, so a fetch that was killed
can only cost time.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from chiasm.weights.archive import sha256_of

MANIFEST = ".chiasm-manifest.json"


def cache_root() -> Path:
    """`$CHIASM_CACHE` if it is set, else `~/.cache/chiasm`."""
    chosen = os.environ.get("CHIASM_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "chiasm"


def is_whole(folder: Path, *, verify: bool = False) -> bool:
    """Whether every file of the manifest is there with its size and, on `verify`, its hash."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    for name, (size, digest) in manifest.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return False
        if verify and sha256_of(path) != digest:
            return False
    return True


def make_once(
    final: Path, make: Callable[[Path], None], is_good: Callable[[Path], bool] = is_whole
) -> Path:
    """Return `final`, made by `make(empty folder)` unless a good one is already there.

    Of several processes that ask at once, one makes it and the others wait for its result.
    """
    if is_good(final):
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.parent / f".{final.name}.lock"):
        if is_good(final):
            return final
        # The name is fixed, so what a killed process left behind is cleared by the next one.
        partial = final.parent / f".{final.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            make(partial)
            _write_manifest(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return final


def _write_manifest(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, sha256_of(path)]
        for path in files
    }
    (folder / MANIFEST).write_text(json.dumps(entries, indent=1))
