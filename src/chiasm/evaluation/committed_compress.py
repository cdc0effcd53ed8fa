"""The README's tables of compression on taught models, from `results/compress/*.json`.

Each file is a report of `chiasm compress`; those on equal models and data are seeds of one
measurement, and a table gives their means.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from chiasm.evaluation.committed_files import read, table
from chiasm.evaluation.difference import CONTROLS, Difference
from chiasm.evaluation.interval import student

Row = Mapping[str, Any]
HEAD = (
    *("method", "tokens", "FLOPs", "KV", "prefill", "decode", "accuracy", "agrees"),
    *(f"against {control}" for control in CONTROLS),
)


def compress_block(root: Path) -> str:
    """One table a model and budget, negative rows and refused ones too."""
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for path in sorted((root / "compress").glob("*.json")):
        found = read(path)
        trained = (found["training"] or {}).get("samples")
        groups[found["scale"], found["system"], found["data"], trained].append(found)
    if not groups:
        return "No compression has been measured on a taught model yet."
    return "\n\n".join(_group(reports) for reports in groups.values())


def _group(reports: Sequence[Any]) -> str:
    first = reports[0]
    taught = (first["training"] or {}).get("samples")
    told = [
        f"`{first['system']}` at {first['scale']} scale, {first['parameters'] / 1e6:.1f}M "
        f"parameters, taught {taught or 0:,} pictures of {first['data']}; {len(reports)} "
        f"{'seeds' if len(reports) > 1 else 'seed'}, {first['questions']:,} test questions each. "
        f"The full model: {_percent([one['full']['accuracy'] for one in reports])}, "
        f"{first['full']['tokens']:.0f} visual tokens."
    ]
    for keep in first["keeps"]:
        names = [row["method"] for row in first["rows"] if row["keep"] == keep]
        lines = [_line(name, keep, reports) for name in names]
        told.append(f"keep = {keep:g}\n\n{table(HEAD, lines)}")
    interval = "Student's over the seeds" if len(reports) > 1 else "over pictures"
    told.append(
        f"FLOPs, KV, prefill, decode: times the full model's, of one prompt. Agrees: questions "
        f"answered as the full model does. Against: points above the control over the same "
        f"questions, 95% interval {interval}. `{first['command']}` on {first['machine']}, "
        f"{first['threads']} threads."
    )
    return "\n\n".join(told)


def _line(name: str, keep: float, reports: Sequence[Any]) -> tuple[str, ...]:
    rows = [_find(one, name, keep) for one in reports]
    refused = next((row["refused"] for row in rows if "refused" in row), None)
    if refused is not None:
        return (f"`{name}`", *[""] * (len(HEAD) - 2), f"cannot run: {refused}")
    full = [one["full"] for one in reports]
    slow = " (no less)" if any(row["saves_no_time"] for row in rows) else ""
    return (
        f"`{name}`",
        f"{fmean(row['tokens'] for row in rows):.1f}",
        _ratio(rows, full, "prefill_flops"),
        _ratio(rows, full, "kv_bytes"),
        _ratio(rows, full, "prefill_ms") + slow,
        _ratio(rows, full, "decode_ms"),
        _percent([row["accuracy"] for row in rows]),
        f"{100 * fmean(row['agreement'] for row in rows):.1f}%",
        *(_against(rows, control) for control in CONTROLS),
    )


def _find(report: Any, name: str, keep: float) -> Row:
    return next(row for row in report["rows"] if (row["method"], row["keep"]) == (name, keep))


def _ratio(rows: Sequence[Row], full: Sequence[Row], what: str) -> str:
    if any(row[what] is None for row in (*rows, *full)):
        return "not timed"
    return f"{fmean(row[what] / whole[what] for row, whole in zip(rows, full, strict=True)):.2f}"


def _percent(values: Sequence[float]) -> str:
    spread = f" ({100 * min(values):.1f} to {100 * max(values):.1f})" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}%{spread}"


def _against(rows: Sequence[Row], control: str) -> str:
    found = [row["against"].get(control) for row in rows]
    if None in found:
        return ""
    values = [one["value"] for one in found]
    low, high = student(values) if len(values) > 1 else (found[0]["low"], found[0]["high"])
    seen = Difference(value=fmean(values), low=low, high=high)
    return f"{100 * seen.value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), {seen.verdict}"
