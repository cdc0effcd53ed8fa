"""A system's story in execution order: what runs, on which rows, with which shapes, and where."""

import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape

from chiasm.assemble import build
from chiasm.backbone import Chain, LockStep
from chiasm.catalogue.story import in_words
from chiasm.cost.geometry import make_prompt
from chiasm.model import PARTS, Model, part_of
from chiasm.spec import Answers, Geometry, Scale, System, geometry
from chiasm.stream import Modality, RowPlan, Rows

SLOTS = {
    "before": "first",
    "joined": "in the same softmax",
    "beside": "beside the read",
    "between": "between attention and feed-forward",
    "choose": "for chosen rows only",
}
"""The slots of a layer, in words."""
_KINDS = {Modality.TEXT: "text", Modality.LEARNED: "learned"}
"""Kinds of rows that a plan tells apart, in words; the others are media."""
_EXAMPLE = (480, 640)
"""(height, width) of the example image where a system takes any size."""


def story(of: System, scale: Scale, *, text: int) -> Iterator[str]:
    """The forward pass of one image and `text` text tokens, as marked-up lines.

    Built on the meta device: nothing is allocated, every shape is the real one.
    """
    answers = of.at(scale)
    model = build(of, scale, device="meta", seed=None)
    plan = geometry(answers, _EXAMPLE)
    rows = text + plan.placeholders
    yield f"[bold]{of.slug}[/bold] at {scale.value} scale, one image and {text} text tokens"
    yield f"[dim]{escape(of.card.differs)}[/dim]"
    for step, (title, lines) in enumerate(_steps(answers, model, plan, text, rows), start=1):
        yield f"\n[bold]{step}. {title}[/bold]"
        for line in lines:
            yield f"   {line}"
    yield "\n[bold]Parameters[/bold]"
    counts = {part: 0 for part in PARTS}
    for name, parameter in model.named_parameters():
        counts[part_of(name)] += parameter.numel()
    yield "   " + ", ".join(f"{part} {count:,}" for part, count in counts.items() if count)
    for stage in answers.teaching.stages:
        learns = ", ".join(part for part in stage.trained if counts.get(part))
        yield f"   stage {stage.name}: {learns} learn at {stage.learning_rate:g}"
    for remark in of.card.story:
        yield f"   note: {escape(remark)}"


def _steps(
    answers: Answers, model: Model, plan: Geometry, text: int, rows: int
) -> Iterator[tuple[str, list[str]]]:
    width = answers.host.width
    if plan.views:
        yield "Look", _look(answers, plan)
        features = (
            f"\\[{len(plan.views)}, {plan.grids[0][0]}x{plan.grids[0][1]}, {answers.encoder.width}]"
        )
        yield "Encode", [f"{in_words(answers.encoder)} -> {features}", _where(model.encoder)]
    if model.compressor is not None:
        line = f"{in_words(answers.compression)}: {plan.tokens} features, {plan.kept} kept"
        yield "Keep", [line, _where(model.compressor)]
    if model.connector is not None:
        out = answers.connector.width(
            answers.encoder.width, answers.fusion.token_width(answers.host)
        )
        line = f"{in_words(answers.connector)} -> \\[1, {plan.tokens}, {out}]"
        yield "Connect", [line, _where(model.connector)]
    yield (
        "Enter the sequence",
        [
            f"{in_words(answers.fusion)}: {text} text rows and {plan.placeholders} media rows -> "
            f"\\[1, {rows}, {width}]",
            f"visibility: {in_words(answers.visibility)}",
        ],
    )
    if model.decoder.prologue is not None:
        yield (
            "Before the stack",
            [
                f"{plan.tokens} media tokens and {rows} rows are fused, the former then dropped",
                _where(model.decoder.prologue),
            ],
        )
    if isinstance(model.decoder, Chain):
        ahead = model.decoder.ahead
        yield (
            "Ahead of the host",
            [
                f"all rows pass {ahead.stack.depth} layers of width {ahead.host.width}, then a map "
                f"to width {width}",
                _where(model.decoder),
            ],
        )
    if isinstance(model.decoder, LockStep):
        met = ", ".join(f"{one} and {other}" for one, other in model.decoder.links)
        yield (
            "Beside the host",
            [
                f"{plan.tokens} tokens run {model.decoder.tower.depth} layers of a tower; the two "
                f"meet before layers {met}",
                _where(model.decoder),
            ],
        )
    modality = make_prompt(answers, text, None, _EXAMPLE).table.modality[0]
    for first, last, lines in _layers(answers, model, Counter(map(Modality, modality.tolist()))):
        title = f"Layer {first}" if first == last else f"Layers {first} to {last}"
        yield title, lines
    classes = answers.host.vocabulary + answers.head.pointers
    head = f"{in_words(answers.head)} -> \\[1, {classes:,}] at the last row"
    yield "Emit", [head, _where(model.head)]
    yield "Judge", [in_words(answers.teaching.objective), _where(answers.teaching.objective)]


def _look(answers: Answers, plan: Geometry) -> list[str]:
    sizes = ", ".join(f"{v.kind} {v.target[0]}x{v.target[1]}" for v in plan.views)
    given = f"an image of {_EXAMPLE[0]}x{_EXAMPLE[1]}"
    return [f"{in_words(answers.views)}: {given} becomes {sizes}", _where(answers.views)]


def _layers(
    answers: Answers, model: Model, held: Counter[Modality]
) -> Iterator[tuple[int, int, list[str]]]:
    """Runs of layers that do the same; `held` counts the rows of each kind."""
    told: list[tuple[int, int, list[str]]] = []
    for layer, block in enumerate(model.decoder.stack.layers):
        lines: list[str] = []
        for name, slots in SLOTS.items():
            slot = dict(getattr(model.decoder.stack, name).named_children()).get(str(layer))
            if slot is not None:
                lines += [f"{slots}: {type(slot).__name__}", _where(slot)]
        mixer = answers.host.mixer
        if mixer is None:
            lines += _row_lines(answers.fusion.plan(layer), held)
        else:
            lines.append(f"{held.total()} rows are scanned into a state of {mixer.held:,} numbers")
        window = answers.host.window(layer)
        if window is not None:
            lines.append(f"sliding window of {window} rows")
        lines.append(_where(block))
        if told and told[-1][2] == lines:
            told[-1] = (told[-1][0], layer, lines)
        else:
            told.append((layer, layer, lines))
    yield from told


def _row_lines(plan: RowPlan, held: Counter[Modality]) -> list[str]:
    names = ("queries", "keys and values", "output projection", "feed-forward")
    counted = [
        f"{name}: {_rows(rows, held)}" for name, rows in zip(names, plan.sets(), strict=True)
    ]
    return ["; ".join(counted)]


def _rows(rows: Rows, held: Counter[Modality]) -> str:
    inside = {modality: count for modality, count in held.items() if rows & Rows.of(modality)}
    kinds = {_KINDS.get(modality, "media"): None for modality in sorted(inside)}
    kind = "all" if len(inside) == len(held) else " and ".join(kinds)
    return f"{sum(inside.values())} {kind} rows" if inside else "no rows"


def _where(thing: Any) -> str:
    """File and line of the code that does it."""
    kind = type(thing)
    path, line = Path(inspect.getfile(kind)), inspect.getsourcelines(kind)[1]
    parts = path.parts
    if "chiasm" in parts:
        at = len(parts) - 1 - parts[::-1].index("chiasm")
        return f"[dim]{'/'.join(parts[at:])}:{line} {kind.__name__}[/dim]"
    return f"[dim]{kind.__module__}.{kind.__name__}[/dim]"
