"""The shell that reports share: one self-contained page with tables and how it was made."""

import html
from collections.abc import Mapping, Sequence

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 92rem; padding: 0 1rem;
       color: #1c1c1e; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #ddd; text-align: right;
         white-space: nowrap; }
th:first-child, td:first-child, .left td, .left th { text-align: left; }
td.right { background: #e4f5e6; } td.wrong { background: #fbe6e6; }
td.asked, td.told { white-space: normal; min-width: 14rem; }
td.told { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } .plots svg { max-width: 44rem; height: auto; }
img { width: 64px; height: 64px; object-fit: contain; image-rendering: pixelated; }
footer { margin-top: 2rem; color: #666; font-size: .85rem; }
code { background: #f3f3f5; padding: .1rem .3rem; }
"""


def document(title: str, body: str, facts: Mapping[str, str], footer: str) -> str:
    """The page as one HTML text; `body` and `footer` are HTML, the rest is escaped."""
    listed = "".join(
        f"<dt><b>{html.escape(name)}</b></dt><dd>{html.escape(value)}</dd>"
        for name, value in facts.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{body}"
        f"<h2>How this was made</h2><dl>{listed}</dl>"
        f"<footer>{footer}</footer></body></html>\n"
    )


def filled(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways where it must; a short row's last cell takes what is left."""
    named = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{_row(row, len(head))}</tr>" for row in body)
    return (
        f'<div class="wide"><table><thead><tr>{named}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _row(cells: Sequence[str], width: int) -> str:
    last = width - len(cells) + 1
    return "".join(
        _cell(text, last if at == len(cells) - 1 else 1) for at, text in enumerate(cells)
    )


def _cell(text: str, columns: int) -> str:
    """A cell; sentences wrap, figures do not."""
    kind = ' class="told"' if len(text) > 40 else ""
    span = f' colspan="{columns}"' if columns > 1 else ""
    return f"<td{kind}{span}>{html.escape(text)}</td>"
