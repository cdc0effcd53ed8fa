"""What a person sees of a run: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from chiasm.spec import Stage
from chiasm.training.freezing import PartCount
from chiasm.training.metrics import Metrics

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


class Display(Protocol):
    """Told of a run as it goes; the `compare` command and notebooks bring their own."""

    def stages(self, counted: Sequence[tuple[Stage, Sequence[PartCount]]]) -> None:
        """Before anything is taught: what learns in each stage."""
        ...

    def note(self, text: str) -> None:
        """One line worth knowing."""
        ...

    def step(self, metrics: Metrics) -> None:
        """After every step."""
        ...

    def close(self) -> None:
        """The run has ended, for whatever reason."""
        ...


class Silent:
    """Shows nothing."""

    def stages(self, counted: Sequence[tuple[Stage, Sequence[PartCount]]]) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def step(self, metrics: Metrics) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """Plain lines, at most one every ten seconds while steps pass."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._last = time.monotonic()
        self._shown = 0
        self._newest: Metrics | None = None

    def stages(self, counted: Sequence[tuple[Stage, Sequence[PartCount]]]) -> None:
        for line in counts_as_lines(counted):
            self.note(line)

    def note(self, text: str) -> None:
        print(text, file=self._out or sys.stdout, flush=True)

    def step(self, metrics: Metrics) -> None:
        self._newest = metrics
        if time.monotonic() - self._last >= EVERY:
            self._print(metrics)

    def close(self) -> None:
        if self._newest is not None and self._newest.step != self._shown:
            self._print(self._newest)

    def _print(self, metrics: Metrics) -> None:
        self._last, self._shown = time.monotonic(), metrics.step
        besides = "".join(f"{name} {value:.4g}  " for name, value in metrics.auxiliary.items())
        self.note(
            f"{metrics.progress:4.0%}  step {metrics.step:,}  loss {metrics.loss:.4f}  {besides}"
            f"{metrics.tokens_per_second:,.0f} tokens/s  {_left(metrics)} left"
        )


class Bar(Lines):
    """A progress bar with loss, tokens a second and time left; for terminals."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.fields[told]}"),
            console=Console(),
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("training", total=1.0, told="")
        self._smooth: float | None = None

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def step(self, metrics: Metrics) -> None:
        self._bar.start()
        before = metrics.loss if self._smooth is None else self._smooth
        self._smooth = 0.95 * before + 0.05 * metrics.loss
        told = (
            f"loss {self._smooth:.4f}  {metrics.tokens_per_second:,.0f} tokens/s  "
            f"{_left(metrics)} left"
        )
        self._bar.update(
            self._task, completed=metrics.progress, description=metrics.stage, told=told
        )

    def close(self) -> None:
        self._bar.stop()


def default() -> Display:
    """A bar on a terminal, lines elsewhere."""
    return Bar() if sys.stdout.isatty() else Lines()


def counts_as_lines(counted: Sequence[tuple[Stage, Sequence[PartCount]]]) -> list[str]:
    """An aligned table: exact parameters by part, trained and frozen, one block a stage."""
    lines = []
    for number, (stage, parts) in enumerate(counted, start=1):
        rows = [("part", "trained", "frozen")]
        rows += [(c.part, f"{c.trained:,}", f"{c.frozen:,}") for c in parts]
        trained, frozen = sum(c.trained for c in parts), sum(c.frozen for c in parts)
        rows.append(("total", f"{trained:,}", f"{frozen:,}"))
        lines.append(f"stage {number} of {len(counted)}: {stage.name}, {stage.share:.0%} of budget")
        lines += [f"  {part:<10}{learns:>14}{still:>14}" for part, learns, still in rows]
    return lines


def _left(metrics: Metrics) -> str:
    if metrics.progress <= 0:
        return "?"
    seconds = metrics.seconds * (1 - metrics.progress) / metrics.progress
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
