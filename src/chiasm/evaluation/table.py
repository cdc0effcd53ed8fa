"""Results as one table, for the terminal and for the report."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from chiasm.evaluation.result import Result, Score

HEAD = (
    "system",
    "parameters",
    "trained",
    "FLOPs",
    "KV",
    "prefill ms",
    "peak",
    "samples/s",
    "accuracy",
    "95% interval",
)


def rows(results: Sequence[Result], majority: Score) -> list[tuple[str, ...]]:
    """One row a system, and the majority answer last."""
    return [
        *(_row(result) for result in results),
        ("majority answer", "", "", "", "", "", "", "", *_accuracy(majority)),
    ]


def table(results: Sequence[Result], majority: Score) -> Table:
    """The same for the terminal."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for at, name in enumerate(HEAD):
        made.add_column(name, justify="right" if at else "left", no_wrap=True)
    for row in rows(results, majority):
        made.add_row(*row)
    return made


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.system,
        f"{result.parameters:,}",
        f"{result.parameters_trained:,}",
        scaled(result.prefill_flops),
        scaled(result.kv_bytes, "B"),
        f"{result.prefill_ms:.2f}",
        scaled(result.peak_bytes, "B"),
        f"{result.samples_per_second:,.0f}",
        *_accuracy(result.score),
    )


def _accuracy(score: Score) -> tuple[str, str]:
    low, high = score.interval
    return f"{100 * score.accuracy:.2f}%", f"{100 * low:.2f} to {100 * high:.2f}"


def scaled(count: float, unit: str = "") -> str:
    """A count with three digits and its power of a thousand."""
    prefixes = ("", "k", "M", "G", "T")
    step = 0
    while abs(count) >= 1000 and step < len(prefixes) - 1:
        count, step = count / 1000, step + 1
    prefix = prefixes[step]
    return f"{count:.3g} {prefix}{unit}".rstrip()
