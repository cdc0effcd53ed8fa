"""What a trial found, as tables, as a page and as a record."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from chiasm.catalogue.provenance import commit, machine, shareable
from chiasm.evaluation import committed_files
from chiasm.evaluation.compressed import Judged, Trials
from chiasm.evaluation.difference import CONTROLS, Difference
from chiasm.evaluation.document import document, filled
from chiasm.evaluation.plots import accuracy_of_budgets
from chiasm.evaluation.table import scaled
from chiasm.evaluation.trial import Trial
from chiasm.hub import read_record

HEAD = (
    *("method", "tokens", "FLOPs", "KV", "prefill ms", "decode ms", "peak", "accuracy"),
    *("95% interval", "agrees", *(f"against {control}" for control in CONTROLS), "note"),
)
NO_TIME = "fewer FLOPs, no less time"
CONVENTIONS = (
    "tokens: visual ones of a prompt, mean over layers and prompts. FLOPs: connector, decoder and "
    "the reducers' own, dense pairs. FLOPs, KV, ms, peak: the first question, batch 1; ms: medians "
    "of turns. against: points above the control over the same questions, 95% interval over "
    "pictures."
)


def columns(trials: Trials, keep: float) -> tuple[list[str], list[list[str]]]:
    """Heads, and the rows of the full model, the controls and every method at one budget.

    What was measured of none of them has no column; the row of a method that cannot run has two
    cells, its name and why.
    """
    rows = [_row(one, trials.full) for one in (trials.full, *trials.at(keep))]
    whole = [row for row in rows if len(row) == len(HEAD)]
    kept = [at for at, head in enumerate(HEAD) if head == "note" or any(row[at] for row in whole)]
    return [HEAD[at] for at in kept], [
        [row[at] for at in kept] if len(row) == len(HEAD) else list(row) for row in rows
    ]


def table(trials: Trials, keep: float) -> Table:
    """The same for the terminal."""
    made = Table(
        title=f"keep = {keep:g}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    head, rows = columns(trials, keep)
    for at, name in enumerate(head):
        last = at == len(head) - 1
        justify = "right" if at and not last else "left"
        made.add_column(name, justify=justify, no_wrap=not last, min_width=24 if last else None)
    for name, *cells in rows:
        made.add_row(name, *[""] * (len(head) - 1 - len(cells)), *cells)
    return made


def _row(one: Judged, full: Judged) -> tuple[str, ...]:
    if one.refused is not None:
        return one.method, f"cannot run: {one.refused}"
    assert one.score is not None and one.cost is not None and one.agreement is not None
    low, high = one.score.interval
    return (
        one.method,
        "" if one.tokens is None else f"{one.tokens:.1f}",
        scaled(one.cost.prefill_flops),
        scaled(one.cost.kv_bytes, "B"),
        _ms(one.cost.prefill_ms),
        _ms(one.cost.decode_ms),
        scaled(one.cost.peak_bytes, "B"),
        f"{100 * one.score.accuracy:.2f}%",
        f"{100 * low:.2f} to {100 * high:.2f}",
        f"{100 * one.agreement:.1f}%",
        *(_against(one.against.get(control)) for control in CONTROLS),
        NO_TIME if one.saves_no_time(full) else "",
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _against(found: Difference | None) -> str:
    if found is None:
        return ""
    half = (found.high - found.low) / 2
    return f"{100 * found.value:+.1f} ±{100 * half:.1f}, {found.verdict}"


def record(trial: Trial, trials: Trials) -> dict[str, Any]:
    """The object of report.json."""
    full = trials.full
    assert full.score is not None
    folder = trials.checkpoint
    return {
        "checkpoint": folder.folder.name,
        "system": folder.slug,
        "scale": folder.scale,
        "training": read_record(folder.folder).extra.get("training") if folder.slug else None,
        "parameters": sum(p.numel() for p in folder.model.parameters()),
        "data": Path(trial.data).name,
        "questions": full.score.count,
        "keeps": list(trial.keeps),
        "full": _object(full, full),
        "rows": [_object(one, full) for one in trials.rows[1:]],
        "intervals": "accuracy: Wilson, 95%; differences: Student's t over pictures, 95%",
        "repeats": trial.repeats,
        "decoded": trial.decode,
        "seed": trial.seed,
        "threads": torch.get_num_threads(),
        "command": shareable(["chiasm", *sys.argv[1:]], Path.cwd()),
        "commit": commit(Path.cwd())[0],
        "machine": machine(),
    }


def _object(one: Judged, full: Judged) -> dict[str, Any]:
    said: dict[str, Any] = {"method": one.method, "keep": one.keep}
    if one.refused is not None:
        return said | {"refused": one.refused}
    assert one.score is not None and one.cost is not None
    low, high = one.score.interval
    return said | {
        "tokens": one.tokens,
        "whole_tokens": one.whole,
        **asdict(one.cost),
        "accuracy": one.score.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "agreement": one.agreement,
        "against": {
            control: asdict(found) | {"verdict": found.verdict}
            for control, found in one.against.items()
        },
        "saves_no_time": one.saves_no_time(full),
    }


def plot(trials: Trials) -> str:
    """Accuracy against the time of a prompt and its decoding; against FLOPs if none was taken."""
    timed = trials.full.cost is not None and trials.full.cost.prefill_ms is not None
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in trials.rows[1:]:
        if one.score is not None:
            lines.setdefault(one.method, []).append((_cost(one, timed), one.score.accuracy))
    assert trials.full.score is not None
    whole = _cost(trials.full, timed), trials.full.score.accuracy
    measure = "measured prefill, ms" if timed else "prefill FLOPs (no times were taken)"
    return accuracy_of_budgets(lines, whole, measure)


def _cost(one: Judged, timed: bool) -> float:
    assert one.cost is not None
    found = one.cost.prefill_ms if timed else one.cost.prefill_flops
    assert found is not None
    return float(found)


def write(trial: Trial, trials: Trials, out: Path) -> dict[str, Any]:
    """`report.json`, `report.html`, `plot.svg`, `predictions.jsonl`; gives the first."""
    out.mkdir(parents=True, exist_ok=True)
    made = record(trial, trials)
    committed_files.write(out / "report.json", made)
    with (out / "predictions.jsonl").open("w", encoding="utf-8") as lines:
        for (name, keep), predictions in trials.said.items():
            for one in predictions:
                entry = {"method": name, "keep": keep, "example": one.example}
                entry |= {"question": one.question, "expected": one.expected, "said": one.said}
                lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
    drawn = plot(trials)
    (out / "plot.svg").write_text(drawn, encoding="utf-8")
    (out / "report.html").write_text(_page(trial, trials, made, drawn), encoding="utf-8")
    return made


def _page(trial: Trial, trials: Trials, made: dict[str, Any], drawn: str) -> str:
    budgets = "".join(
        f"<h2>keep = {keep:g}</h2>{filled(*columns(trials, keep))}" for keep in trial.keeps
    )
    facts = {
        "command": made["command"],
        "data": f"{made['data']}, {made['questions']} questions, each asked alone",
        "seed": str(trial.seed),
        "commit": made["commit"],
        "machine": f"{made['machine']}, {made['threads']} threads",
    }
    named = trials.checkpoint.folder.name
    title = f"{len(trials.methods)} methods of compression on {named}"
    body = f'{budgets}<h2>Accuracy against cost</h2><div class="plots">{drawn}</div>'
    return document(title, body, facts, CONVENTIONS)
