"""Pipelines by name: a frozen value each, whose steps run one after the other over one trace."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from itertools import zip_longest
from typing import Any, ClassVar, Protocol

from chiasm.answering.desk import Desk, Question, Tools
from chiasm.answering.past import Past
from chiasm.answering.records import Asked, Began, Call, Record, as_json, fits
from chiasm.answering.steps.step import Step
from chiasm.answering.trace import Trace, written
from chiasm.errors import ChiasmError, Misuse
from chiasm.registry import Registry


class Pipeline(Protocol):
    """A frozen dataclass of plain settings: they are all that a trace needs to be run again."""

    name: ClassVar[str]

    @property
    def k(self) -> int:
        """How much is retrieved, in the pipeline's own unit: units, documents or pages."""
        ...

    def steps(self) -> tuple[Step, ...]: ...


_PIPELINES: Registry[Callable[..., Pipeline]] = Registry("pipeline", "chiasm.answering.pipelines")


def register_pipeline(name: str) -> Callable[[type], type]:
    """Enter a pipeline's class under its name."""
    return lambda made: _PIPELINES.enter(name, made)  # type: ignore[return-value]


def pipelines() -> dict[str, Callable[..., Pipeline]]:
    """All pipelines by name."""
    return _PIPELINES.every()


def pipeline(name: str, **settings: Any) -> Pipeline:
    """The pipeline of this name, its settings the paper's where they are not given.

    Raises:
        Misuse: no such pipeline or setting, or a value that the setting cannot have.
    """
    made: Any = _PIPELINES.of(name)
    known = {field.name: field.type for field in fields(made)}
    for setting, value in settings.items():
        if setting not in known:
            held = ", ".join(known)
            raise Misuse(f"{name} has no setting {setting!r}; it has {held}")
        if not fits(_plain(value), known[setting]) or (type(value) is int and value < 0):
            raise Misuse(f"{name}: {setting} cannot be {value!r}")
    built = made(**{setting: _hashable(value) for setting, value in settings.items()})
    try:
        built.steps()
    except ValueError as error:
        raise Misuse(f"{name}: {error}") from None
    return built


def _plain(value: Any) -> Any:
    """As JSON reads it back."""
    return json.loads(json.dumps(value))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def answer(of: Pipeline, question: Question, tools: Tools) -> Trace:
    """Run a pipeline: the trace ends with the answer.

    Raises:
        ChiasmError: a tool failed.
        Misuse: an empty question.
    """
    if not question.text.strip():
        raise Misuse("the question is empty; ask something")
    desk = Desk(Trace(), tools, where=question.where)
    where = "" if question.where is None else str(question.where)
    asked = Asked(text=question.text, images=desk.show(question.images), where=where)
    _run(of, desk, Began(pipeline=of.name, settings=_settings(of), reader=tools.reader.name), asked)
    return desk.trace


def replay(stored: Trace, of: Pipeline | None = None) -> Trace:
    """Run a stored trace's pipeline again, every call answered from the trace, offline.

    The new trace equals the stored one byte for byte. `of` asks whether another pipeline would
    have made the same calls.

    Raises:
        ChiasmError: it would not, or the trace was changed; the step that differs is named.
    """
    began = stored.began()
    again = pipeline(began.pipeline, **began.settings) if of is None else of
    past = Past(stored)
    desk = Desk(Trace(), None, past=past)
    first = stored.of(Asked)
    if not first:
        raise ChiasmError("the trace holds no question; it was cut short")
    header = Began(pipeline=again.name, settings=_settings(again), reader=began.reader)
    _run(again, desk, header, first[0])
    past.finish()
    if of is None:
        _check_equal(stored, desk.trace)
    return desk.trace


def _run(of: Pipeline, desk: Desk, began: Began, asked: Asked) -> None:
    desk.trace.append(began)
    desk.trace.append(asked)
    for step in of.steps():
        desk.step = step.name
        step.run(desk)


def _settings(of: Any) -> dict[str, Any]:
    return _plain(asdict(of))


def _check_equal(stored: Trace, made: Trace) -> None:
    step = ""
    for number, (old, new) in enumerate(zip_longest(stored.records, made.records), 1):
        match old:
            case Call(step=name):
                step = name
        if old != new:
            raise ChiasmError(
                f"step {step!r} differs: line {number} of the trace is {_named(old)}, and its "
                f"replay writes {_named(new)}; the trace was changed"
            )


def _named(record: Record | None) -> str:
    return "nothing" if record is None else written(as_json(record))[:100]
