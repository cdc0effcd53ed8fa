import io
from dataclasses import replace
from pathlib import Path

import pytest
from tests.training.toy import ADAPT, ALIGN, ready

from chiasm.training import Metrics, display
from chiasm.training.freezing import count


def step(number: int, seconds: float = 30.0, progress: float = 0.25) -> Metrics:
    return Metrics(
        step=number,
        stage="s",
        epoch=0,
        samples=3 * number,
        loss=1.25,
        lr=1e-3,
        gradient_norm=0.5,
        tokens_per_second=1234.5,
        seconds=seconds,
        progress=progress,
    )


def test_lines_come_every_ten_seconds_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    lines = display.Lines(out)
    for number in range(1, 26):
        now[0] = float(number)
        lines.step(step(number))
    lines.close()
    shown = out.getvalue().splitlines()
    assert [line.split()[2] for line in shown] == ["10", "20", "25"]
    # A quarter of the budget took 30 s, so three quarters take 90 s.
    assert shown[0] == " 25%  step 10  loss 1.2500  1,234 tokens/s  1:30 left"


def test_the_last_line_is_not_said_twice() -> None:
    out = io.StringIO()
    lines = display.Lines(out)
    lines.close()
    assert out.getvalue() == ""


def test_hours_and_unknown_times_left() -> None:
    out = io.StringIO()
    for metrics in (step(1, seconds=3600, progress=0.5), step(1, progress=0.0)):
        lines = display.Lines(out)
        lines.step(metrics)
        lines.close()
    first, second = out.getvalue().splitlines()
    assert first.endswith("1:00:00 left") and second.endswith("? left")


def test_counts_are_said_by_stage_and_part(data: Path) -> None:
    model, _, _ = ready(data)
    counted = [(stage, count(model, stage.trained)) for stage in (ALIGN, ADAPT)]
    out = io.StringIO()
    display.Lines(out).stages(counted)
    first, *rows = out.getvalue().splitlines()
    assert first == "stage 1 of 2: align, 40% of budget"
    assert rows[0].split() == ["part", "trained", "frozen"]
    total = sum(p.numel() for p in model.parameters())
    assert rows[2].split() == ["connector", "792", "0"]
    assert rows[4].split() == ["total", "792", f"{total - 792:,}"]
    assert rows[-1].split() == ["total", f"{total:,}", "0"]


def test_the_bar_goes_with_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    bar = display.Bar()
    bar.note("[not markup]")
    bar.step(step(1, progress=0.5))
    bar.close()
    told = capsys.readouterr().out
    assert "[not markup]" in told and "loss 1.2500" in told and "0:30 left" in told


def test_without_a_terminal_there_are_lines() -> None:
    assert type(display.default()) is display.Lines


def test_the_layers_own_losses_stand_beside_the_loss() -> None:
    out = io.StringIO()
    lines = display.Lines(out)
    lines.step(replace(step(3), auxiliary={"balance": 0.0125, "z": 3e-5}))
    lines.close()
    assert "balance 0.0125  z 3e-05  " in out.getvalue()
    plain = io.StringIO()
    without = display.Lines(plain)
    without.step(step(3))
    without.close()
    assert out.getvalue().replace("balance 0.0125  z 3e-05  ", "") == plain.getvalue()
