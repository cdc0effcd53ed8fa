"""What was found, as HTML: every word of a unit escaped, every link to this server's own pages."""

from collections.abc import Sequence
from html import escape

from chiasm.retrieval.unit import Hit
from chiasm.serving.addresses import picture_of, view_of
from chiasm.serving.emphasis import boxes_of, second_of
from chiasm.serving.viewing import place

SHOWN = 180
"""Characters of a unit's text."""
CHOOSE = """
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('button[data-unit]');
  if (chosen) trigger('select', {unit: chosen.dataset.unit, title: chosen.dataset.title});
});
"""
"""Tells the server whose `More like this` was pressed."""


def cards(hits: Sequence[Hit], words: str, viewer: str) -> str:
    """A grid of hits; `words` are marked on their pictures, and links open in `viewer`."""
    if not hits:
        return '<p class="quiet">Nothing fits. Ask for other words, or loosen the filter.</p>'
    held = "".join(_card(rank, hit, words, viewer) for rank, hit in enumerate(hits, 1))
    return f'<div class="cards">{held}</div>'


def _card(rank: int, hit: Hit, words: str, viewer: str) -> str:
    unit = hit.unit
    title = unit.title.strip() or unit.path
    boxes = boxes_of(unit, words)
    second = second_of(unit, words)
    looked = picture_of(unit, boxes, small=True)
    seen = (
        f'<img loading="lazy" alt="" src="{escape(looked)}">'
        if looked is not None
        else f'<span class="words">{escape(_short(unit.text or unit.path))}</span>'
    )
    said = escape(_short(unit.text)) if looked is not None else ""
    ranks = " ".join(f"{escape(name)} {score:.3g}" for name, score in hit.scores.items())
    address = escape(view_of(unit, boxes, second))
    return (
        '<article class="card">'
        f'<a class="look" target="{viewer}" href="{address}">{seen}</a>'
        f'<div class="title" title="{escape(title)}">{rank}. {escape(title)}</div>'
        f'<div class="place" title="{escape(unit.path)}">{escape(place(unit, second))}</div>'
        f'<div class="said">{said}</div>'
        f'<div class="foot"><span title="{ranks}">{unit.kind} · {hit.score:.4f}</span>'
        f'<button type="button" data-unit="{escape(unit.id)}" data-title="{escape(title)}">'
        "More like this</button></div></article>"
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def frame(viewer: str) -> str:
    """Where links open."""
    told = escape(
        "<p style='font: 15px system-ui; color: #777; padding: 24px'>Open a picture or a "
        "citation to see it here.</p>"
    )
    return f'<iframe class="viewer" name="{viewer}" title="viewer" srcdoc="{told}"></iframe>'
