from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from chiasm.cli.train import train
from chiasm.errors import Misuse
from chiasm.spec import registered
from chiasm.training import metrics

app = typer.Typer()
app.command()(train)

SLUG = "llava-1.5"
SMALL = [
    *("--set", "host.width=22", "--set", "host.depth=1", "--set", "host.ff_width=29"),
    *("--set", "host.heads=2", "--set", "host.kv_heads=1", "--set", "host.head_width=6"),
]

needs_it = pytest.mark.skipif(SLUG not in registered(), reason=f"no system {SLUG}")


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@needs_it
def test_counts_come_first_and_the_folder_last(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [SLUG, "--data", str(data), "--samples", "6", "--batch", "3", "--out", str(out)]
    said = told(*words, *SMALL, "--threads", "1").splitlines()
    assert said[0].startswith("stage 1 of 1")
    assert said[-1] == f"{out} is ready: chiasm ask {out} PICTURE QUESTION"
    assert [m.samples for m in metrics.read(out)] == [3, 6]
    again = told(*words, *SMALL, "--threads", "1", "--resume")
    assert "is finished: 2 steps were taught" in again


@needs_it
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of minutes, samples or flops, but none was given"),
        (["--samples", "3", "--minutes", "1"], "minutes and samples was given"),
        (["--samples", "3", "--set", "host.wide=3"], "Host has no 'wide'"),
        (["--samples", "3", "--data", "missing.json"], "no such file"),
        (["--samples", "3", "--data", "no-such-data"], "unknown data set"),
        (["--samples", "3", "--scale", "paper"], "paper scale"),
    ],
)
def test_misuse_is_one_line_and_makes_no_folder(
    words: list[str], message: str, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = [SLUG, "--out", str(out), *(() if "--data" in words else ("--data", str(data)))]
    with pytest.raises(Misuse, match=message) as refusal:
        told(*arguments, *words)
    assert "\n" not in str(refusal.value)
    assert not out.exists()


def test_an_unknown_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="unknown system 'lava'"):
        told("lava", "--samples", "3", "--out", str(tmp_path / "run"))


def test_help_has_an_example() -> None:
    assert "Example: chiasm train" in told("--help")
