"""Deletes one file in a copy of the package at a time and reports what still works.

    python tests/laws/deleting.py REPOSITORY SCRATCH

prints one JSON object: name of the deleted file to the list of failures. Each deletion runs in a
fork of a process that has already imported what chiasm needs, so that eight cost little more than
one.
"""

import contextlib
import importlib
import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner


def import_then_forget(repository: Path) -> list[str]:
    """Import all that the package and its tests need, then forget both; every system's slug."""
    for name in ("assemble", "cli.main", "catalogue.collect"):
        importlib.import_module(f"chiasm.{name}")
    slugs = list(importlib.import_module("chiasm.spec").registered())
    collects(repository, "--collect-only", "tests")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.split(".")[0] in ("chiasm", "tests") or ours(Path(file), repository):
            del sys.modules[name]
    return slugs


def ours(file: Path, repository: Path) -> bool:
    """A file of the checkout itself; its environment may lie inside it."""
    return any(file.is_relative_to(repository / part) for part in ("src", "tests"))


def copy_of(source: Path, scratch: Path, deleted: str) -> Path:
    root = scratch / deleted.replace("/", "-")
    shutil.copytree(source, root / "chiasm")
    (root / "chiasm" / deleted).unlink()
    return root


def without_system(root: Path, deleted: str, everyone: set[str]) -> None:
    """Every other system registers, builds at nano and on meta at paper scale, and is shown."""
    from chiasm.assemble import build
    from chiasm.cli.main import app
    from chiasm.spec import registered

    slugs = set(registered())
    gone = everyone - slugs
    assert len(gone) == 1, f"{deleted}: {sorted(gone)} are gone"
    shell = CliRunner()
    for slug in sorted(slugs):
        build(slug, "nano")
        build(slug, "paper", device="meta")
        shown = shell.invoke(app, ["show", slug])
        assert shown.exit_code == 0, f"show {slug}: {shown.output or shown.exception}"
    listed = shell.invoke(app, ["systems", "--json"])
    assert listed.exit_code == 0, f"systems: {listed.output or listed.exception}"
    missing = shell.invoke(app, ["show", gone.pop()])
    assert missing.exit_code != 0


def collects(repository: Path, *extra: str) -> None:
    """The tests are collected (or run) against the copy without an error."""
    said = io.StringIO()
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *extra]
    os.chdir(repository)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(arguments)
    assert code == 0, f"pytest {' '.join(extra)} exits with {code}: {said.getvalue()[-1500:]}"


def forked(work: Callable[[], None], report: Path) -> list[str]:
    """What went wrong in `work`, run in a child process."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            report.write_text(traceback.format_exc())
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    failures = [report.read_text()] if report.exists() else []
    return failures + ([f"ended with status {status}"] if status else [])


def main(repository: Path, scratch: Path) -> None:
    source = repository / "src" / "chiasm"
    everyone = set(import_then_forget(repository))
    files = sorted(p.name for p in (source / "systems").glob("*.py") if p.name != "__init__.py")
    found: dict[str, list[str]] = {}

    def delete(name: str) -> Callable[[], None]:
        def work() -> None:
            root = copy_of(source, scratch, f"systems/{name}")
            sys.path.insert(0, str(root))
            without_system(root, name, everyone)
            chiasm = importlib.import_module("chiasm")
            assert Path(str(chiasm.__file__)).is_relative_to(root)
            collects(repository, "--collect-only", "tests")
            if name == files[0]:
                collects(repository, "-x", "tests/systems")

        return work

    for name in files:
        found[name] = forked(delete(name), scratch / f"{name}.txt")
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
