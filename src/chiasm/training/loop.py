"""The training loop: steps through the stages of a budget, resumable exactly after a kill."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import AdamW

from chiasm.data import Dataset
from chiasm.data.balance import Balance
from chiasm.data.order import Order
from chiasm.data.unprompted import Unprompted
from chiasm.errors import ChiasmError, Misuse
from chiasm.model import Model
from chiasm.spec import Stage
from chiasm.training import precision as precisions
from chiasm.training import state as states
from chiasm.training.budget import Budget, Course, course, steps_for
from chiasm.training.deterministic import deterministic
from chiasm.training.display import Display, Silent
from chiasm.training.flops import step_flops
from chiasm.training.freezing import copy_own, count, freeze
from chiasm.training.interrupt import Interrupt, Interrupted
from chiasm.training.metrics import Curve, Metrics
from chiasm.training.optimiser import clip, optimiser, set_rate
from chiasm.training.pace import Pace, Saver, advance, begin, newest
from chiasm.training.prefetch import Ahead, Collates, Window, listed, windows
from chiasm.training.self_check import SelfCheck, refuse_blind
from chiasm.training.state import Position

_COUNTED = 4
"""Windows whose mean FLOPs stand for a step's, where the budget is in FLOPs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is carried out, as opposed to what is taught."""

    batch: int | None = None
    """Examples a step, instead of the stages' own."""
    accumulate: int = 1
    """Pieces a step's examples are computed in: less memory, the same gradient (batch norms, which
    average over a piece, excepted)."""
    precision: str = "auto"
    checkpoint_steps: int = 1000
    checkpoint_seconds: float = 30.0
    """Seconds between two saved states; more where saving is slow."""

    def __post_init__(self) -> None:
        for name in ("batch", "accumulate", "checkpoint_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Misuse(f"{name} is at least 1, not {value}")
        if self.batch is not None and self.accumulate > self.batch:
            raise Misuse(
                f"a batch of {self.batch} cannot be computed in {self.accumulate} pieces; "
                f"accumulate at most {self.batch}"
            )


class Trainer:
    """Teaches `model` on `dataset` until `budget` is spent; everything it writes lies in `out`.

    The next samples, the random state, moments and schedule follow from the newest saved state in
    `out`, so that a killed run goes on as if nothing had happened: with the same number of threads,
    bit for bit on a CPU. Under a budget of minutes the schedule follows the clock; steps recorded
    after the saved state are then taught again at their recorded places in it.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        collator: Collates,
        *,
        budget: Budget,
        out: Path,
        seed: int = 0,
        stages: Sequence[Stage] | None = None,
        options: Options | None = None,
        display: Display | None = None,
    ) -> None:
        self.model, self.dataset, self.collator = model, dataset, collator
        self.budget, self.out, self.seed = budget, out, seed
        self.stages = tuple(model.answers.teaching.stages if stages is None else stages)
        self.options = options or Options()
        self.display: Display = display or Silent()
        self.precision = precisions.resolve(self.options.precision, model.device)
        self.position = begin()

    def run(self) -> Position:
        """Teach to the end of the budget and save.

        Raises Interrupted after a signal (the state is saved), ChiasmError if the loss or gradient
        is not finite (the state before stays).
        """
        for stage in self.stages:
            refuse_blind(stage, self.dataset)
        self.out.mkdir(parents=True, exist_ok=True)
        self.display.stages([(stage, count(self.model, stage.trained)) for stage in self.stages])
        chosen = self._course()
        self.position, state, replayed = newest(
            self.out, self.model, self.seed, self.budget, self.display
        )
        pace = Pace(self.budget, chosen, replayed)
        saver = Saver(
            self.out,
            self.options.checkpoint_steps,
            self.options.checkpoint_seconds,
            self.position.step,
        )
        try:
            with (
                Interrupt() as interrupt,
                Curve(self.out) as curve,
                deterministic(self.model.device),
            ):
                for stage in range(self.position.stage, len(self.stages)):
                    self._teach(stage, pace, state, saver, curve, interrupt)
                    state = None
        finally:
            self.display.close()
        return self.position

    def _course(self) -> Course:
        """The stages' lengths; those of a budget of FLOPs are counted on their first windows."""
        if self.budget.minutes is not None:
            return course(self.stages, None)
        lengths = []
        for at, stage in enumerate(self.stages):
            count, batch = len(self.dataset), self._batch(stage)
            if self.budget.samples is not None:
                lengths.append(steps_for(self.budget.samples * stage.share, count, batch))
                continue
            freeze(self.model, stage.trained)
            trial = list(itertools.islice(self._windows(at, 0), _COUNTED))
            each = sum(step_flops(self.model, window) for window in trial) / len(trial)
            lengths.append(max(1, round((self.budget.flops or 0) * stage.share / each)))
        return course(self.stages, lengths)

    def _teach(
        self,
        at: int,
        pace: Pace,
        state: Path | None,
        saver: Saver,
        curve: Curve,
        interrupt: Interrupt,
    ) -> None:
        """One stage, from where the run stands in it."""
        stage = self.stages[at]
        if at != self.position.stage:
            self.position = replace(self.position, stage=at, stage_step=0)
        if stage.copies and self.position.stage_step == 0:
            copy_own(self.model)
        freeze(self.model, stage.trained)
        adam = optimiser(self.model, stage)
        if state is not None:
            states.restore_optimiser(state, self.model, adam)
            states.restore_generators(state)
        watch = None if self.position.stage_step else SelfCheck(self.model, stage)
        with Ahead(self._windows(at, self.position.stage_step)) as ahead:
            while True:
                started = time.perf_counter()
                progress = pace.progress(at, self.position)
                if pace.over(at, self.position, progress):
                    break
                window = next(ahead)
                rate = set_rate(adam, stage, pace.course.within(at, progress))
                loss, norm, auxiliary = self._step(stage, window, adam)
                if watch is not None:
                    watch.after_step(images=window.images > 0)
                    watch = None if watch.done else watch
                took = time.perf_counter() - started
                self.position = advance(self.position, len(window.ids), progress, took)
                told = Metrics(
                    step=self.position.step,
                    stage=stage.name,
                    epoch=window.epoch,
                    samples=self.position.samples,
                    loss=loss,
                    lr=rate,
                    gradient_norm=norm,
                    auxiliary=auxiliary,
                    tokens_per_second=window.tokens / took,
                    seconds=self.position.seconds,
                    progress=progress,
                )
                curve.add(told)
                self.display.step(told)
                if interrupt.received is not None or saver.due(self.position):
                    saver.save(self.position, self.model, adam)
                if interrupt.received is not None:
                    raise Interrupted(
                        f"stopped after step {self.position.step} and saved in {self.out}; "
                        f"to go on, give the same command with --resume",
                        interrupt.received,
                    )
        if at == len(self.stages) - 1:
            self.position = replace(self.position, progress=1.0)
            saver.save(self.position, self.model, adam)

    def _step(
        self, stage: Stage, window: Window, adam: AdamW
    ) -> tuple[float, float, dict[str, float]]:
        """One update; returns the loss, the gradient norm and the losses by name before it."""
        device = self.model.device
        adam.zero_grad(set_to_none=True)
        losses: list[Tensor] = []
        auxiliary: dict[str, Tensor] = {}
        for piece in window.pieces:
            with precisions.autocast(self.precision, device):
                taught = self.model.losses(
                    piece.to(device), total=window.labels, drafts=window.drafts
                )
            # Text without images depends on nothing that learns while only the connector does.
            if taught.total.requires_grad:
                taught.total.backward()
            losses.append(taught.main.detach())
            for name, value in (taught.auxiliary | taught.parts).items():
                auxiliary[name] = auxiliary.get(name, value.new_zeros(())) + value.detach()
        norm = clip(adam, stage.clip)
        # One transfer for all numbers, before the update: a broken step leaves the weights whole.
        numbers = torch.stack([torch.stack(losses).sum(), norm, *auxiliary.values()]).tolist()
        loss, norm, *others = numbers
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if not math.isfinite(value):
                raise ChiasmError(
                    f"step {self.position.step + 1}: the {name} is {value} on the samples "
                    f"{listed(window.ids)}; lower the learning rate or look at these samples"
                )
        adam.step()
        return loss, norm, dict(zip(auxiliary, others, strict=True))

    def _windows(self, at: int, start: int) -> Iterator[Window]:
        # Every stage has an order of its own, or all would begin with the same samples.
        given = self.stages[at]
        seed, limit = self.seed + at, given.questions
        return windows(
            self.dataset,
            self.collator,
            Order(len(self.dataset), seed),
            start=start,
            batch=self._batch(self.stages[at]),
            accumulate=self.options.accumulate,
            balance=None if limit is None else Balance.of(self.dataset, limit=limit, seed=seed),
            unprompted=Unprompted(text=given.unprompted, images=given.unseen, seed=seed),
        )

    def _batch(self, stage: Stage) -> int:
        return self.options.batch or stage.batch
