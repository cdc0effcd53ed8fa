"""Deletes systems in copies of the package, half of them at a time, and reports what still works.

    python tests/laws/deleting.py REPOSITORY SCRATCH

prints one JSON object: name of the copy to `{"deleted": [...], "failures": [...]}`. Which copies
lack a system is that system's code word: half of all copies, no two systems alike, so of any two
systems some copy lacks the one and keeps the other (Sperner, 1928). If the second needed the first,
that copy would fail. Eight copies serve seventy systems, where one copy each would build every
system seventy times. Two further copies lack one half of the systems each: there paper scales are
built, systems are shown and the tests are collected, which takes longer. Each copy is read in a
fork of a process that has already imported what chiasm needs.
"""

import contextlib
import importlib
import io
import itertools
import json
import math
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner


def halves(names: Sequence[str]) -> list[list[str]]:
    """Who is missing from each copy; among the copies every ordered pair of names is parted."""
    copies = next(k for k in itertools.count(2) if math.comb(k, k // 2) >= len(names))
    words = list(itertools.combinations(range(copies), copies // 2))
    word_of = {name: words[i * len(words) // len(names)] for i, name in enumerate(names)}
    return [[name for name in names if copy in word_of[name]] for copy in range(copies)]


def import_then_forget(repository: Path) -> None:
    """Import all that the package and its tests need, then forget both."""
    for name in ("assemble", "cli.main", "catalogue.collect"):
        importlib.import_module(f"chiasm.{name}")
    collects(repository, "--collect-only", "tests")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.split(".")[0] in ("chiasm", "tests") or ours(Path(file), repository):
            del sys.modules[name]


def ours(file: Path, repository: Path) -> bool:
    """A file of the checkout itself; its environment may lie inside it."""
    return any(file.is_relative_to(repository / part) for part in ("src", "tests"))


def slug_of(file: Path) -> str:
    """A system's name as it registers itself."""
    return importlib.import_module(f"chiasm.systems.{file.stem}").SYSTEM.slug


def copy_of(source: Path, root: Path, deleted: Sequence[str]) -> None:
    shutil.copytree(source, root / "chiasm", ignore=shutil.ignore_patterns("__pycache__"))
    for name in deleted:
        (root / "chiasm" / "systems" / name).unlink()


def without_systems(gone: set[str], kept: set[str]) -> None:
    """Every other system registers and builds at nano, and is listed; the deleted are unknown."""
    from chiasm.cli.main import app
    from chiasm.spec import registered
    from chiasm.spec.embedder import registered_embedders

    slugs = set(registered()) | set(registered_embedders())
    assert slugs == kept, f"registered but not expected, or not registered: {slugs ^ kept}"
    for slug in sorted(slugs):
        building(slug)(slug, "nano")
    shell = CliRunner()
    listed = shell.invoke(app, ["systems", "--json"])
    assert listed.exit_code == 0, f"systems: {listed.output or listed.exception}"
    for slug in sorted(gone):
        missing = shell.invoke(app, ["show", slug])
        assert missing.exit_code != 0, f"show {slug} works without it"


def whole(repository: Path, kept: set[str]) -> None:
    """Every other system is shown and builds at paper scale on meta; the tests are collected."""
    from chiasm.cli.main import app

    shell = CliRunner()
    for slug in sorted(kept):
        building(slug)(slug, "paper", device="meta")
        shown = shell.invoke(app, ["show", slug])
        assert shown.exit_code == 0, f"show {slug}: {shown.output or shown.exception}"
    collects(repository, "--collect-only", "tests")


def building(slug: str) -> Callable[..., object]:
    """What builds a system, or an embedder."""
    from chiasm.assemble import build
    from chiasm.embedders.building import build as build_embedder
    from chiasm.spec.embedder import registered_embedders

    return build_embedder if slug in registered_embedders() else build


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
    files = sorted(p for p in (source / "systems").glob("*.py") if p.name != "__init__.py")
    slugs = {file.name: slug_of(file) for file in files}
    import_then_forget(repository)
    found: dict[str, dict[str, list[str]]] = {}
    names = list(slugs)
    copies = [(deleted, False) for deleted in halves(names)]
    copies += [(names[::2], True), (names[1::2], True)]
    for number, (deleted, wholly) in enumerate(copies):
        root = scratch / f"copy-{number}"

        def work(root: Path = root, deleted: list[str] = deleted, wholly: bool = wholly) -> None:
            copy_of(source, root, deleted)
            sys.path.insert(0, str(root))
            gone = {slugs[name] for name in deleted}
            kept = set(slugs.values()) - gone
            chiasm = importlib.import_module("chiasm")
            assert Path(str(chiasm.__file__)).is_relative_to(root)
            if wholly:
                whole(repository, kept)
            else:
                without_systems(gone, kept)

        failures = forked(work, scratch / f"copy-{number}.txt")
        found[root.name] = {"deleted": deleted, "failures": failures}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
