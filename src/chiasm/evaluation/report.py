"""The report of a comparison: one self-contained page, and the same facts as JSON."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chiasm.data.example import Example
from chiasm.data.views import picture
from chiasm.evaluation.document import document, filled
from chiasm.evaluation.plots import accuracy_against_flops, loss_curves
from chiasm.evaluation.predict import Prediction
from chiasm.evaluation.result import Result, Score
from chiasm.evaluation.table import HEAD, rows


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One example of the page: an image, a question about it, and what each system said."""

    example: Example
    question: str
    expected: str
    said: Mapping[str, str]


def examples_to_show(
    examples: Sequence[Example], said: Mapping[str, Sequence[Prediction]], count: int = 10
) -> list[Shown]:
    """`count` examples evenly spread over the split, each with another of its questions.

    Chosen by place alone, never by who was right.
    """
    answers = {
        system: {(p.example, p.question): p.said for p in predictions}
        for system, predictions in said.items()
    }
    shown = []
    for at in range(min(count, len(examples))):
        example = examples[at * len(examples) // count]
        turn = example.turns[at % len(example.turns)]
        spoken = {system: of.get((example.id, turn.question), "") for system, of in answers.items()}
        shown.append(
            Shown(example=example, question=turn.question, expected=turn.answer, said=spoken)
        )
    return shown


def page(
    results: Sequence[Result],
    majority: Score,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    shown: Sequence[Shown],
    *,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The page as one HTML text; images and plots are inside it."""
    body = (
        f"{filled(HEAD, rows(results, majority))}"
        f'<h2>Accuracy against cost, and loss</h2><div class="plots">'
        f"{accuracy_against_flops(results, majority)}{loss_curves(curves)}</div>"
        f"<h2>{len(shown)} examples</h2>"
        f'<div class="wide">{_examples(shown, [result.system for result in results])}</div>'
    )
    footer = (
        "Prefill FLOPs: 2 a multiply-add, dense attention pairs, decoder and projectors; "
        "no vision encoder, no head. Intervals: Wilson, 95%."
    )
    return document(title, body, facts, footer)


def _examples(shown: Sequence[Shown], systems: Sequence[str]) -> str:
    names = ("image", "question", "expected", *systems)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = []
    for one in shown:
        cells = [f'<td><img alt="" src="{embedded(one.example)}"></td>']
        cells.append(f'<td class="asked">{html.escape(one.question)}</td>')
        cells.append(f"<td>{html.escape(one.expected)}</td>")
        for system in systems:
            said = one.said.get(system, "")
            right = said.strip().casefold() == one.expected.strip().casefold()
            verdict = "right" if right else "wrong"
            cells.append(f'<td class="{verdict}">{html.escape(said) or "&mdash;"}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="left"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )


def embedded(example: Example) -> str:
    """The example's first image, at most 128 pixels wide, as a data URI."""
    if not example.images:
        return ""
    image = picture(example.images[0])
    image.thumbnail((128, 128))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
