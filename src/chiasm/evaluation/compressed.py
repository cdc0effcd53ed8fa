"""Compression judged on data: each method at each budget beside the full model and two controls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean

from chiasm.answering import Asker
from chiasm.compressing import compress
from chiasm.data.example import Example
from chiasm.data.views import image_size
from chiasm.errors import ChiasmError, Misuse
from chiasm.evaluation.compressed_cost import Attach, Cost, Prompt, by_layer, timed
from chiasm.evaluation.difference import CONTROLS, Difference
from chiasm.evaluation.interval import clustered
from chiasm.evaluation.predict import Prediction, predict
from chiasm.evaluation.result import Score
from chiasm.evaluation.trial import Trial
from chiasm.hub import Checkpoint

Tell = Callable[[str], object]
Key = tuple[str, float]
"""A method and its budget."""
WHOLE: Key = "full model", 1.0
"""The model without compression."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of the model under a method at a budget."""

    method: str
    keep: float
    refused: str | None = None
    """Why the method cannot run on this model at this budget; nothing else is then known."""
    score: Score | None = None
    tokens: float | None = None
    """Visual tokens of a prompt alive, mean over layers and prompts."""
    whole: float | None = None
    """Visual tokens of a prompt before anything is dropped, mean over prompts."""
    agreement: float | None = None
    """Share of the questions that are answered in the full model's words."""
    against: dict[str, Difference] = field(default_factory=dict[str, Difference])
    """By control."""
    cost: Cost | None = None

    def saves_no_time(self, full: "Judged") -> bool | None:
        """Whether fewer FLOPs than the full model's take no less time; None: not measured."""
        own, whole = self.cost, full.cost
        if own is None or whole is None or own.prefill_ms is None or whole.prefill_ms is None:
            return None
        return own.prefill_flops < whole.prefill_flops and own.prefill_ms >= whole.prefill_ms


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All that a trial found; `rows` begin with the full model."""

    rows: tuple[Judged, ...]
    said: dict[Key, list[Prediction]]
    checkpoint: Checkpoint

    @property
    def full(self) -> Judged:
        return self.rows[0]

    @property
    def methods(self) -> set[str]:
        """Those that were tried, the controls included."""
        return {row.method for row in self.rows[1:]}

    def at(self, keep: float) -> list[Judged]:
        """The rows of a budget."""
        return [row for row in self.rows[1:] if row.keep == keep]


def try_methods(trial: Trial, *, tell: Tell) -> Trials:
    """Ask the model everything once as it is, and once under each method at each budget.

    Raises:
        Misuse: a model from which no visual tokens can be taken.
    """
    asker = Asker.open(trial.checkpoint)
    model = asker.checkpoint.model
    compress(model, CONTROLS[0], keep=min(trial.keeps))
    asked = trial.asked()
    if len({example.id for example in asked}) < 2:
        raise Misuse(f"{trial.data} holds {len(asked)} example; an interval needs at least 2")
    prompt = _first(asker, asked[0])
    attach: dict[Key, Attach] = {WHOLE: nullcontext}
    answers = {WHOLE: list(_said(trial, asker, asked))}
    rows = {WHOLE: _judged(WHOLE, answers, prompt.cost(nullcontext, None), None)}
    tell(_told(rows[WHOLE]))
    for key in ((name, keep) for keep in trial.keeps for name in trial.order):
        name, keep = key
        enter = partial(compress, model, name, keep=keep, **trial.settings(name))
        kept = Kept(model.answers.host.depth)
        try:
            cost = prompt.cost(enter, None if keep == 1 else f"{name}:keep={keep}")
            with enter() as context:
                answers[key] = list(
                    _said(trial, asker, asked, lambda _, c=context, k=kept: k.add(c.kept))
                )
            rows[key], attach[key] = _judged(key, answers, cost, kept), enter
        except ChiasmError as error:
            rows[key] = Judged(method=name, keep=keep, refused=" ".join(str(error).split()))
        tell(_told(rows[key]))
    if trial.repeats:
        costs = {key: cost for key, row in rows.items() if (cost := row.cost) is not None}
        for key, cost in timed(prompt, attach, costs, trial.repeats, trial.decode).items():
            rows[key] = replace(rows[key], cost=cost)
    whole = next((row.whole for row in rows.values() if row.whole), None)
    found = (
        replace(row, tokens=whole, whole=whole) if row.refused is None and not row.whole else row
        for row in rows.values()
    )
    return Trials(rows=tuple(found), said=answers, checkpoint=asker.checkpoint)


class Kept:
    """Visual tokens added up over batches: `whole` before anything is dropped, `alive` in all
    layers together.
    """

    def __init__(self, depth: int) -> None:
        self.depth, self.whole, self.alive = depth, 0, 0

    def add(self, kept: Sequence[tuple[int, int]]) -> None:
        if kept:
            self.whole += kept[0][1]
            self.alive += sum(by_layer(kept, self.depth, kept[0][1]))


def _said(
    trial: Trial,
    asker: Asker,
    asked: Sequence[Example],
    progress: Callable[[int], None] | None = None,
) -> Iterator[Prediction]:
    checkpoint = asker.checkpoint
    return predict(
        checkpoint.model,
        asker.collator,
        asked,
        batch=trial.batch,
        max_new=trial.max_new,
        stop=checkpoint.tokens.eos,
        progress=progress,
    )


def _judged(
    key: Key, answers: Mapping[Key, list[Prediction]], cost: Cost, kept: Kept | None
) -> Judged:
    name, keep = key
    own, full = answers[key], answers[WHOLE]
    return Judged(
        method=name,
        keep=keep,
        score=Score.of(own),
        tokens=None if kept is None else kept.alive / kept.depth / len(own),
        whole=None if kept is None else kept.whole / len(own),
        agreement=fmean(a.said == b.said for a, b in zip(own, full, strict=True)),
        against={
            control: difference(own, answers[control, keep])
            for control in CONTROLS
            if control != name and (control, keep) in answers
        },
        cost=cost,
    )


def difference(own: Sequence[Prediction], other: Sequence[Prediction]) -> Difference:
    """How much more often `own` are right, over the same questions in the same order."""
    gains = [float(a.right) - float(b.right) for a, b in zip(own, other, strict=True)]
    low, high = clustered(gains, [one.example for one in own])
    return Difference(value=fmean(gains), low=low, high=high)


def _first(asker: Asker, example: Example) -> Prompt:
    """The first question, on which all costs are measured."""
    model = asker.checkpoint.model.eval()
    inputs = asker.collator.batch([example], teach=False).to(model.device)
    return Prompt(model=model, inputs=inputs, image=image_size(example))


def _told(row: Judged) -> str:
    if row.refused is not None:
        return f"{row.method} at {row.keep:g} cannot run: {row.refused}"
    assert row.score is not None
    low, high = row.score.interval
    return (
        f"{row.method} at {row.keep:g}: {100 * row.score.accuracy:.2f}% of "
        f"{row.score.count} questions ({100 * low:.2f} to {100 * high:.2f})"
    )
