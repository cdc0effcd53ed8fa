"""How an embedder is taught: batches of pairs through the stages of a budget."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from chiasm.data.blocks import Blocks
from chiasm.embedders.alike import Told, together
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.contents import Content
from chiasm.embedders.frozen import Kept
from chiasm.embedders.mining import Negatives, Sample, mine, read_mined, write_mined
from chiasm.embedders.model import learns
from chiasm.embedders.pairs import PairLike
from chiasm.embedders.sized import at_sides
from chiasm.embedders.stages.align import Round
from chiasm.embedders.states import Read
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.embedding import Single
from chiasm.spec import Stage
from chiasm.training import state as states
from chiasm.training.budget import Budget, course
from chiasm.training.cached_gradients import cached_gradients
from chiasm.training.deterministic import deterministic
from chiasm.training.display import Display, Silent
from chiasm.training.interrupt import Interrupt, Interrupted
from chiasm.training.metrics import Curve, Metrics
from chiasm.training.optimiser import clip, optimiser, set_rate
from chiasm.training.pace import Pace, Saver, advance, begin, newest
from chiasm.training.state import Position

MINED = "mined-{}.safetensors"
"""The negatives of a stage, in the run's folder."""


@dataclass(frozen=True)
class Taken:
    """One batch: queries, the document of each, mined negatives after them, and who is who."""

    queries: list[Content]
    documents: list[Content]
    targets: Tensor
    """[query, document], True where they belong together."""
    groups: Tensor
    kinds: Tensor
    about: Tensor
    """The modality of each query's document that it asks about."""
    ids: list[str]


@dataclass
class Teacher:
    """Teaches `embedder` on `pairs` until `budget` is spent; its curve lies in `out`."""

    embedder: BuiltEmbedder
    pairs: Sequence[PairLike]
    budget: Budget
    out: Path
    seed: int = 0
    batch: int | None = None
    display: Display = field(default_factory=Silent)
    checkpoint_steps: int = 1000
    checkpoint_seconds: float = 30.0
    """Seconds between two saved states; more where saving is slow."""
    position: Position = field(default_factory=begin, init=False)

    def __post_init__(self) -> None:
        self.pairs = self.embedder.model.answers.batches.pages.of(self.pairs)

    def run(self) -> None:
        """Teach to the end of the budget, from the newest state in `out` where there is one.

        A run that was stopped or killed goes on as if nothing had happened: on a CPU with the same
        number of threads bit for bit where nothing is frozen, and otherwise up to rounding, since
        frozen towers see other contents side by side.

        Raises:
            ChiasmError: the loss or a gradient is not finite.
            Interrupted: after a signal; the state is saved.
        """
        if self.budget.flops is not None:
            raise Misuse("embedders are taught by minutes or samples, not FLOPs; give one of them")
        stages = self.embedder.model.answers.teaching.stages
        self.out.mkdir(parents=True, exist_ok=True)
        model = self.embedder.model
        self.position, state, replayed = newest(
            self.out, model, self.seed, self.budget, self.display
        )
        pace = Pace(self.budget, course(stages, self._lengths(stages)), replayed)
        saver = Saver(self.out, self.checkpoint_steps, self.checkpoint_seconds, self.position.step)
        try:
            with (
                Interrupt() as interrupt,
                Curve(self.out) as curve,
                deterministic(model.device),
            ):
                for at in range(self.position.stage, len(stages)):
                    self._stage(at, stages[at], pace, state, saver, curve, interrupt)
                    state = None
        finally:
            self.display.close()
        model.eval()

    @cached_property
    def _groups(self) -> dict[str, int]:
        """A number for each group of the pairs."""
        return {one: n for n, one in enumerate(sorted({pair.concept for pair in self.pairs}))}

    def _lengths(self, stages: Sequence[Stage]) -> list[int] | None:
        if self.budget.samples is None:
            return None
        shares = [self.budget.samples * stage.share for stage in stages]
        return [
            max(1, math.ceil(share / self._size(stage)))
            for share, stage in zip(shares, stages, strict=True)
        ]

    def _size(self, stage: Stage) -> int:
        return min(self.batch or stage.batch, len(self.pairs))

    def _stage(
        self,
        at: int,
        stage: Stage,
        pace: Pace,
        state: Path | None,
        saver: Saver,
        curve: Curve,
        interrupt: Interrupt,
    ) -> None:
        """One stage, from where the run stands in it."""
        model = self.embedder.model
        if at != self.position.stage:
            self.position = replace(self.position, stage=at, stage_step=0)
        mined = self._mined(at)
        freeze(model, stage.trained)  # behind mining, which leaves all of the model in one mode
        adam = optimiser(model, stage)
        if state is not None:
            states.restore_optimiser(state, model, adam)
            states.restore_generators(state)
        batches = self._batches(at, stage, self.position.stage_step, mined)
        kept = Kept(self.embedder)
        while True:
            started = time.perf_counter()
            progress = pace.progress(at, self.position)
            if pace.over(at, self.position, progress):
                break
            rate = set_rate(adam, stage, pace.course.within(at, progress))
            taken = next(batches)
            losses, norm = self._step(stage, taken, adam, kept)
            took = time.perf_counter() - started
            self.position = advance(self.position, len(taken.queries), progress, took)
            told = Metrics(
                step=self.position.step,
                stage=stage.name,
                epoch=self.position.samples // len(self.pairs),
                samples=self.position.samples,
                loss=sum(losses.values()),
                lr=rate,
                gradient_norm=norm,
                auxiliary=losses if len(losses) > 1 else {},
                tokens_per_second=len(taken.queries) / took,
                seconds=self.position.seconds,
                progress=progress,
            )
            curve.add(told)
            self.display.step(told)
            if interrupt.received is not None or saver.due(self.position):
                saver.save(self.position, model, adam)
            if interrupt.received is not None:
                raise Interrupted(
                    f"stopped after step {self.position.step} and saved in {self.out}; "
                    f"to go on, give the same command with --resume",
                    interrupt.received,
                )
        if at == len(pace.course.shares) - 1:
            saver.save(self.position, model, adam)

    def _mined(self, at: int) -> Negatives | None:
        """The negatives of a stage, found when it begins; a resumed stage keeps those."""
        batches = self.embedder.model.answers.batches
        if not batches.negatives or at < batches.mined_from:
            return None
        path = self.out / MINED.format(at)
        if self.position.stage_step and path.exists():
            return read_mined(path)
        found = mine(self.embedder, self.pairs, self.seed)
        write_mined(found, path)
        return found

    def _batches(
        self, at: int, stage: Stage, start: int, mined: Negatives | None
    ) -> Iterator[Taken]:
        batches, own = self.embedder.model.answers.batches, self._own(at)
        size = min(self._size(stage), len(own))
        block = min(batches.block or size, size)
        size -= size % block
        order = Blocks(
            counts={batches.tasks[n].name: len(own) for n in batches.taught(at)},
            weights={batches.tasks[n].name: batches.tasks[n].weight for n in batches.taught(at)},
            batch=size,
            block=block,
            seed=self.seed + at,
        )
        numbers = {name: number for number, name in enumerate(batches.task_names)}
        for step, batch in enumerate(order.batches(start), start):
            turn = step * size // len(own)
            yield self._taken([(numbers[name], own[pair]) for name, pair in batch], turn, mined)

    def _own(self, at: int) -> list[int]:
        """The pairs of a stage, by number.

        Raises:
            Misuse: none is of its concepts.
        """
        batches, groups = self.embedder.model.answers.batches, self._groups
        session = batches.session(at, len(groups))
        own = [n for n, pair in enumerate(self.pairs) if groups[pair.concept] in session]
        if not own:
            raise Misuse(f"no pair is of session {at}'s concepts among {len(groups)}; give more")
        return own

    def _taken(
        self,
        batch: list[Sample],
        turn: int,
        mined: Negatives | None,
    ) -> Taken:
        batches = self.embedder.model.answers.batches
        held = list(batch)
        if mined is not None:
            for task, pair in batch:
                held += mined[task, pair][: batches.negatives]
        queries = [batches.tasks[task].asks(self.pairs[p], turn, task) for task, p in batch]
        documents = [batches.tasks[task].holds(self.pairs[p], turn, task) for task, p in held]
        groups = self._groups
        return Taken(
            queries=queries,
            documents=documents,
            targets=together(self._told(batch, queries), self._told(held, documents)),
            groups=torch.tensor([groups[self.pairs[p].concept] for _, p in held]),
            kinds=torch.tensor([content.kind for content in documents]),
            about=torch.tensor([int(batches.tasks[task].about) for task, _ in batch]),
            ids=[self.pairs[p].id for _, p in batch],
        )

    def _told(self, samples: Sequence[Sample], contents: Sequence[Content]) -> list[Told]:
        """Each sample's name and what is made of it."""
        each = zip(samples, contents, strict=True)
        return [(self.pairs[pair].texts[0], one.parts) for (_, pair), one in each]

    def _step(
        self, stage: Stage, taken: Taken, adam: AdamW, kept: Kept
    ) -> tuple[dict[str, float], float]:
        model = self.embedder.model
        adam.zero_grad(set_to_none=True)
        chunk = model.answers.batches.chunk
        if chunk is None:
            losses = round_losses(self.embedder, taken, kept)
            torch.stack([*losses.values()]).sum().backward()
        else:
            losses = {"contrast": chunked(self.embedder, taken, chunk)}
        norm = float(clip(adam, stage.clip))
        told = {name: float(loss.detach()) for name, loss in losses.items()}
        if not all(map(math.isfinite, (*told.values(), norm))):
            raise ChiasmError(
                f"step {self.position.step + 1}: losses {told}, gradient norm {norm} on "
                f"{', '.join(taken.ids[:5])}; lower the learning rate or look at these"
            )
        adam.step()
        return told, norm


def freeze(model: torch.nn.Module, trained: Sequence[str]) -> None:
    """Let the named parts learn and hold the others still, their batch norms included.

    Raises:
        Misuse: nothing would learn.
    """
    taught = 0
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns(name, trained))
        parameter.grad = None
        taught += parameter.requires_grad
    if not taught:
        raise Misuse(f"no parameter belongs to {', '.join(trained)}; name parts that there are")
    for name, module in model.named_modules():
        own = any(p.requires_grad for p in module.parameters())
        module.training = not name or own or learns(f"{name}.", trained)


def round_of(queries: Read, candidates: Read, taken: Taken) -> Round:
    """What is judged, of what was read."""
    device = taken_device(queries)
    return Round(
        queries=queries,
        candidates=candidates,
        targets=taken.targets.float().to(device),
        kinds=taken.kinds.to(device),
        groups=taken.groups.to(device),
        about=taken.about.to(device),
    )


def taken_device(read: Read) -> torch.device:
    """Where an embedding lies."""
    first: Any = read.embedding
    return (first.mean if hasattr(first, "mean") else first.vectors).device


def round_losses(
    embedder: BuiltEmbedder, taken: Taken, kept: Kept | None = None
) -> dict[str, Tensor]:
    """The losses of a batch, by name; `kept` holds what frozen towers saw."""
    model, schedule = embedder.model, embedder.model.answers.batches.sizes
    sides = schedule.read()
    queries, candidates = (
        _readings(embedder, contents, sides, kept) for contents in (taken.queries, taken.documents)
    )
    found: dict[str, Tensor] = {}
    for query, candidate, weight in schedule.pairs():
        judged = round_of(queries[query], candidates[candidate], taken)
        for name, loss in model.judge(judged, model.score).items():
            found[name] = found.get(name, 0) + weight * loss
    return found


def _readings(
    embedder: BuiltEmbedder, contents: Sequence[Content], sides: Sequence[int], kept: Kept | None
) -> list[Read]:
    """The contents with pictures at each of these sizes; none: once, as the answers say."""
    if sides:
        return at_sides(embedder, contents, sides)
    read = embedder.given if kept is None else kept.given
    return [embedder.model(read(contents))]


def chunked(embedder: BuiltEmbedder, taken: Taken, chunk: int) -> Tensor:
    """Adds the gradients of the whole batch, `chunk` items in memory at a time.

    Raises:
        Misuse: the embedder gives more than one vector an item.
    """
    model = embedder.model

    def encode(contents: Sequence[Content]) -> Tensor:
        read = model(embedder.given(contents))
        if len(read.outputs) != 1 or not isinstance(read.embedding, Single):
            raise Misuse("gradients are chunked for embedders of one vector; leave chunk out")
        return read.embedding.vectors

    def loss(queries: Tensor, documents: Tensor) -> Tensor:
        first, second = (
            Read(seen={}, reduced={}, made={}, outputs=(Single(vectors=one),))
            for one in (queries, documents)
        )
        losses = model.judge(round_of(first, second, taken), model.score)
        return torch.stack([*losses.values()]).sum()

    cut = [
        [side[first : first + chunk] for first in range(0, len(side), chunk)]
        for side in (taken.queries, taken.documents)
    ]
    return cached_gradients([encode, encode], cut, loss)
