"""A finding as tables on a terminal, as a page with pictures, and as a record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from chiasm.evaluation.committed_files import write as write_record
from chiasm.evaluation.document import document, filled
from chiasm.evaluation.plots import svg

Draw = Callable[[], Any]
"""Makes a matplotlib figure."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is told of one finding."""

    title: str
    record: Mapping[str, Any]
    sheets: Sequence[Sheet]
    figures: Mapping[str, Draw]
    """By file name without suffix; drawn only where a folder is asked for."""
    notes: str
    """How figures are to be read."""
    more: str = field(default="", repr=False)
    """HTML between the figures and the tables."""


def show(report: Report, screen: Console) -> None:
    """The tables."""
    for sheet in report.sheets:
        made = Table(
            title=sheet.heading, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        for at, name in enumerate(sheet.head):
            made.add_column(name, justify="right" if at else "left")
        for row in sheet.rows:
            made.add_row(*row)
        screen.print(made)
    screen.print(report.notes, style="dim")


def write(report: Report, out: Path, facts: Mapping[str, str]) -> Path:
    """`report.html` with the pictures inside, each picture as a PNG, `report.json`; the page."""
    out.mkdir(parents=True, exist_ok=True)
    drawn: list[str] = []
    for name, draw in report.figures.items():
        figure = draw()
        figure.savefig(out / f"{name}.png", dpi=110)
        drawn.append(svg(figure))
    tables = "".join(
        f"<h2>{sheet.heading}</h2>{filled(sheet.head, sheet.rows)}" for sheet in report.sheets
    )
    body = f'<div class="plots">{"".join(drawn)}</div>{report.more}{tables}'
    page = out / "report.html"
    page.write_text(document(report.title, body, facts, report.notes), encoding="utf-8")
    write_record(out / "report.json", {**report.record, **facts})
    return page


def percent(share: float, interval: tuple[float, float] | None = None) -> str:
    """A share in percent, with its interval if it has one."""
    if interval is None:
        return f"{100 * share:.1f}%"
    low, high = interval
    return f"{100 * share:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def points(difference: float, interval: tuple[float, float]) -> str:
    """A difference of shares in points, with its interval."""
    low, high = interval
    return f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
