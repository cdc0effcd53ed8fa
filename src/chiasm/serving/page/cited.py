"""An answer as HTML: each sentence with links to what it rests on."""

from collections.abc import Mapping, Sequence
from html import escape

from chiasm.answering.records import Citation
from chiasm.retrieval.unit import Unit
from chiasm.serving.addresses import view_of
from chiasm.serving.viewing import place


def answered(
    text: str,
    citations: Sequence[Citation],
    units: Mapping[str, Unit],
    notes: Sequence[str],
    viewer: str,
) -> str:
    """The answer, then its sources; a sentence that nothing holds is marked."""
    sources = [one for one in citations if one.unit in units]
    listed = "".join(_source(one, units[str(one.unit)], viewer) for one in sources)
    loose = [one.sentence for one in citations if not one.supported]
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="answer"><p class="text">{escape(text)}</p>'
        + (f'<ol class="sources">{listed}</ol>' if listed else "")
        + "".join(f'<p class="loose">Not held by a source: {escape(one)}</p>' for one in loose)
        + (f'<ul class="quiet">{told}</ul>' if told else "")
        + "</div>"
    )


def _source(one: Citation, unit: Unit, viewer: str) -> str:
    boxes = [] if one.box is None else [one.box]
    address = escape(view_of(unit, boxes, one.start))
    return (
        f'<li value="{one.number or 0}"><a target="{viewer}" href="{address}">'
        f"{escape(place(unit, one.start))}</a>"
        f"<blockquote>{escape(one.quote)}</blockquote></li>"
    )
