"""The page that shows one unit: what a citation opens."""

from collections.abc import Sequence
from html import escape

from chiasm.retrieval.unit import Box, Kind, Unit
from chiasm.serving.addresses import media_of, picture_of

STYLE = """
body { margin: 0; padding: 12px 16px; font: 15px/1.5 system-ui, sans-serif; color: #222;
  background: #fff; }
h1 { font-size: 17px; margin: 0 0 2px; overflow-wrap: anywhere; }
.place { color: #666; margin: 0 0 12px; overflow-wrap: anywhere; }
img, video { max-width: 100%; height: auto; display: block; border: 1px solid #ddd;
  border-radius: 6px; }
audio { width: 100%; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; background: #f6f6f4;
  padding: 10px 12px; border-radius: 6px; }
"""


def place(unit: Unit, second: float | None = None) -> str:
    """Path, page and time, for people."""
    parts = [unit.path]
    if unit.page is not None:
        parts.append(f"page {unit.page}")
    at = unit.start if second is None else second
    if at is not None:
        parts.append(clock(at))
    return " · ".join(parts)


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def page(unit: Unit, boxes: Sequence[Box] = (), second: float | None = None) -> str:
    """HTML without a script; every word of the unit is escaped."""
    at = unit.start if second is None else second
    title = escape(unit.title or unit.path)
    shown = [f"<h1>{title}</h1>", f'<p class="place">{escape(place(unit, second))}</p>']
    played = media_of(unit, at)
    if played is not None:
        tag = "video" if unit.kind is Kind.VIDEO else "audio"
        shown.append(f'<{tag} controls preload="metadata" src="{escape(played)}"></{tag}>')
    looked = picture_of(unit, boxes)
    if looked is not None and unit.kind is not Kind.VIDEO:
        shown.append(f'<img alt="{title}" src="{escape(looked)}">')
    if unit.text.strip():
        shown.append(f"<pre>{escape(unit.text)}</pre>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style><body>{''.join(shown)}</body></html>"
    )
