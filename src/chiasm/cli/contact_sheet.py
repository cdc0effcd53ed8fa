"""Hits as one self-contained page: pictures, where each stands, what it says."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from chiasm.cli.cited import cited
from chiasm.retrieval.unit import Hit

_SIDE = 320
_TEXT = 400
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: light-dark(#5a5a60, #a5a5ad); }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 80rem;
       padding: 0 1rem; }
h1 { font-size: 1.25rem; } p { margin: .3rem 0; }
ol { list-style: none; padding: 0; display: grid; gap: 1rem;
     grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
li { border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; display: flex;
     flex-direction: column; }
figure { margin: 0; height: 12rem; background: #8881; display: grid; place-items: center; }
figure img { max-width: 100%; max-height: 12rem; object-fit: contain; }
figure.none { color: var(--dim); font-size: .9rem; }
div { padding: .6rem .8rem; overflow-wrap: anywhere; }
.where { font-weight: 600; } .facts, footer { color: var(--dim); font-size: .85rem; }
.text { white-space: pre-line; }
"""


def contact_sheet(title: str, hits: Sequence[Hit], folder: str) -> str:
    """The page as one HTML text; everything that comes from the library is escaped."""
    cards = "".join(_card(place, hit, folder) for place, hit in enumerate(hits, start=1))
    count = f"{len(hits)} results" if len(hits) != 1 else "1 result"
    shown = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # No script, nothing from elsewhere, whatever the pages in the library say.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{shown}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{shown}</h1><p class=facts>{count} from {html.escape(folder)}</p>"
        f"<ol>{cards}</ol></body></html>\n"
    )


def _card(place: int, hit: Hit, folder: str) -> str:
    unit = hit.unit
    text = unit.text[:_TEXT] + ("…" if len(unit.text) > _TEXT else "")
    link = html.escape(_link(folder, unit.path), quote=True)
    title = f"<p>{html.escape(unit.title)}</p>" if unit.title else ""
    return (
        f"<li>{_figure(hit)}<div>"
        f'<p class=where>{place}. <a href="{link}">{html.escape(cited(hit))}</a></p>{title}'
        f"<p class=facts>{html.escape(unit.kind)} · {html.escape(hit.stage)} {hit.score:.4f}</p>"
        f"<p class=text>{html.escape(text)}</p></div></li>"
    )


def _figure(hit: Hit) -> str:
    picture = hit.unit.picture
    if picture is None:
        return f"<figure class=none>{html.escape(hit.unit.kind)}</figure>"
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    into = io.BytesIO()
    small.save(into, "JPEG", quality=85)
    data = base64.b64encode(into.getvalue()).decode()
    alt = html.escape(hit.unit.title or hit.unit.path, quote=True)
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{alt}"></figure>'


def _link(folder: str, path: str) -> str:
    return (Path(folder) / path).as_uri() if Path(folder).is_absolute() else path
