"""Laws: delete a system and nothing else changes; delete a member and only its systems fail."""

import importlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chiasm

SOURCE = Path(chiasm.__file__).parent
REPOSITORY = Path(__file__).parents[2]
SYSTEMS = sorted(p.stem for p in (SOURCE / "systems").glob("*.py") if p.stem != "__init__")
MEMBER = ("connectors", "c_abstractor")
"""A member that some systems name and the others do not."""


def environment(root: Path) -> dict[str, str]:
    """The child sees the copy, and none of this session's pytest settings."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "COV_"))}
    return {**kept, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}


@pytest.mark.timeout(900)
def test_deleting_a_system_changes_nothing_else(tmp_path):
    """In copies of this checkout's package; one test, so that parallel workers do it once.

    Of any two systems some copy lacks the one and keeps the other.
    """
    if not (REPOSITORY / "src" / "chiasm").is_dir():
        pytest.skip("the package's sources are not beside the tests")
    script = Path(__file__).with_name("deleting.py")
    done = subprocess.run(
        [sys.executable, str(script), str(REPOSITORY), str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment(REPOSITORY / "src"),
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    files = [f"{name}.py" for name in SYSTEMS]
    for one, other in itertools.permutations(files, 2):
        assert any(one in f["deleted"] and other not in f["deleted"] for f in found.values())
    failures = [text for copy in found.values() for text in copy["failures"]]
    assert not failures, "\n\n".join(failures)


CHECK = """
import importlib, json, sys
failed = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"chiasm.systems.{name}")
    except ImportError:
        failed.append(name)
print(json.dumps(failed))
"""


def test_deleting_a_member_fails_only_the_systems_that_name_it(tmp_path):
    room, member = MEMBER
    shutil.copytree(
        SOURCE,
        tmp_path / "chiasm",
    )
    (tmp_path / "chiasm" / room / f"{member}.py").unlink()
    front = tmp_path / "chiasm" / room / "__init__.py"
    exported = re.search(rf"from chiasm\.{room}\.{member} import (.*)", front.read_text())
    assert exported is not None
    names = [name.strip() for name in exported.group(1).split(",")]
    kept = [line for line in front.read_text().splitlines() if not any(n in line for n in names)]
    front.write_text("\n".join(kept) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *SYSTEMS],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    failed = set(json.loads(done.stdout))
    naming = {
        system
        for system in SYSTEMS
        if any(
            re.search(rf"\b{name}\b", (SOURCE / "systems" / f"{system}.py").read_text())
            for name in names
        )
    }
    assert failed == naming
    assert len(failed) < len(SYSTEMS)


def test_every_system_file_registers_itself():
    from chiasm.spec import registered
    from chiasm.spec.embedder import registered_embedders

    modules = [importlib.import_module(f"chiasm.systems.{name}") for name in SYSTEMS]
    models, embedders = set(registered()), set(registered_embedders())
    assert not models & embedders
    assert {module.SYSTEM.slug for module in modules} == models | embedders
