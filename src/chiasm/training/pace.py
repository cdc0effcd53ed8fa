"""Where a run stands in its budget, by steps or by the clock, and when its state is saved."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW

from chiasm.training import metrics as curves
from chiasm.training import state as states
from chiasm.training.budget import Budget, Course
from chiasm.training.display import Display
from chiasm.training.state import Position

_SAVING = 20
"""Saving may take at most one part in so many of a run's time."""


@dataclass(frozen=True)
class Pace:
    """How far the budget is spent before a step, and whether a stage is over."""

    budget: Budget
    course: Course
    replayed: Mapping[int, float]
    """Progress by step of what was recorded behind the saved state, under a budget of minutes."""

    def progress(self, at: int, position: Position) -> float:
        """Share of the whole budget that is spent before the next step of stage `at`."""
        if self.budget.seconds is None:
            return self.course.progress(at, position.stage_step)
        recorded = self.replayed.get(position.step + 1)
        if recorded is not None:
            return recorded
        return max(position.progress, position.seconds / self.budget.seconds)

    def over(self, at: int, position: Position, progress: float) -> bool:
        """Whether stage `at` has no further step."""
        if self.course.steps is not None:
            return position.stage_step >= self.course.steps[at]
        return progress >= 1 or self.course.stage_at(progress) > at


def begin() -> Position:
    """Before the first step."""
    return Position(
        step=0,
        stage=0,
        stage_step=0,
        samples=0,
        seconds=0.0,
        progress=0.0,
        threads=torch.get_num_threads(),
    )


def advance(position: Position, samples: int, progress: float, seconds: float) -> Position:
    """After a step of `samples` examples that took `seconds`."""
    return replace(
        position,
        step=position.step + 1,
        stage_step=position.stage_step + 1,
        samples=position.samples + samples,
        seconds=position.seconds + seconds,
        progress=progress,
    )


def newest(
    out: Path, model: nn.Module, seed: int, budget: Budget, display: Display
) -> tuple[Position, Path | None, dict[int, float]]:
    """Put the newest saved state of `out` into `model`, or seed torch where there is none.

    Returns where the run stands, the state's folder, and what `Pace.replayed` is; the curve is cut
    to the state.
    """
    recorded, state, position = curves.read(out), states.latest(out), begin()
    if state is None:
        torch.manual_seed(seed)
    else:
        now, position = position.threads, states.position_of(state)
        states.restore_weights(state, model)
        if position.threads != now:
            display.note(
                f"resumed with {now} threads, begun with {position.threads}: "
                f"losses will differ in their last digits"
            )
            position = replace(position, threads=now)
    done = position.step
    behind = recorded[done:] if budget.minutes is not None else []
    curves.rewrite(out, recorded[:done])
    return position, state, {one.step: one.progress for one in behind}


@dataclass
class Saver:
    """Saves a run's state after so many steps or seconds; less often where saving is slow."""

    out: Path
    steps: int
    seconds: float
    step: int = 0
    """Of the newest state."""
    _when: float = field(default_factory=time.monotonic)
    _took: float = 0.0

    def due(self, position: Position) -> bool:
        waited = time.monotonic() - self._when
        long = waited >= max(self.seconds, _SAVING * self._took)
        return long or position.step - self.step >= self.steps

    def save(self, position: Position, model: nn.Module, adam: AdamW) -> None:
        started = time.monotonic()
        states.save(self.out, position, model, adam)
        self._when = time.monotonic()
        self.step, self._took = position.step, self._when - started
