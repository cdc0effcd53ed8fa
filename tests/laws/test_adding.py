"""A system is added by one file: the guide's own, in a temporary checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "add-a-system.md"
LAWS = ("visibility", "cache", "batching", "geometry")


def block(kind: str, holding: str) -> str:
    """The guide's block of this kind that holds these words."""
    blocks = GUIDE.read_text(encoding="utf-8").split("```")[1::2]
    [found] = [one for one in blocks if one.startswith(f"{kind}\n") and holding in one]
    return found.removeprefix(f"{kind}\n")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    unread = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests", "docs"):
        shutil.copytree(ROOT / name, root / name, ignore=unread)
    shutil.copy(ROOT / "pyproject.toml", root)
    file = root / "src" / "chiasm" / "systems" / "resampled.py"
    assert not file.exists(), "the guide's example is a system already; choose another"
    file.write_text(block("python", "SYSTEM"), encoding="utf-8")
    return root


def ran(checkout: Path, *words: str) -> str:
    said = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    return said.stdout


def test_the_guides_system_is_shown_and_taught(checkout):
    asked = [line.split("#")[0].split() for line in block("sh", "chiasm show").splitlines()]
    verbs = {words[1]: words[2:] for words in asked}
    assert set(verbs) == {"show", "cost", "train", "compare"}
    assert "resampled" in ran(checkout, "chiasm.cli.main", "show", *verbs["show"])
    ran(checkout, "chiasm.cli.main", "cost", *verbs["cost"])
    told = [*verbs["train"]]
    told[told.index("--minutes") : told.index("--minutes") + 2] = ["--samples", "17"]
    ran(checkout, "chiasm.cli.main", "train", *told)
    assert (checkout / "runs" / "resampled" / "chiasm.json").exists()


def test_the_laws_find_it(checkout):
    files = [f"tests/laws/test_{law}.py" for law in LAWS]
    said = ran(checkout, "pytest", "-q", "-p", "no:xdist", *files, "-k", "resampled")
    assert "passed" in said and "failed" not in said
