"""The README's table of measured results, from the files under `results/`."""

from dataclasses import fields
from pathlib import Path

from chiasm.evaluation.committed_files import read, table
from chiasm.evaluation.result import Result, Score

COMPARISON, PREFILL = Path("compare"), Path("prefill")


def results_block(root: Path) -> str:
    """What was measured, each table with the command and machine that made it.

    `results/compare/*.json` are reports of `chiasm compare`, `results/prefill/*.json` those of
    `benchmarks/prefill.py`.
    """
    parts = [_compared(path) for path in sorted((root / COMPARISON).glob("*.json"))]
    parts += [_prefill(path) for path in sorted((root / PREFILL).glob("*.json"))]
    return "\n\n".join(parts)


def compared(path: Path) -> tuple[list[Result], Score]:
    """The results of a report of `chiasm compare`, and the score of the commonest answer."""
    records = read(path)
    names = {field.name for field in fields(Result)} - {"score"}
    first = records[0]
    return [
        Result(
            score=_score(one["accuracy"], one["questions"]),
            **{name: one[name] for name in names},
        )
        for one in records
    ], _score(first["majority_accuracy"], first["questions"])


def _score(accuracy: float, count: int) -> Score:
    return Score(right=round(accuracy * count), count=count)


def _compared(path: Path) -> str:
    records = read(path)
    names = "system, parameters, prefill FLOPs, KV bytes, prefill ms, samples/s, accuracy, interval"
    lines = [
        (
            f"`{one['system']}`",
            f"{one['parameters']:,}",
            f"{one['prefill_flops']:,}",
            f"{one['kv_bytes']:,}",
            f"{one['prefill_ms']:.2f}",
            f"{one['samples_per_second']:.0f}",
            f"{100 * one['accuracy']:.2f}%",
            f"{100 * one['accuracy_low']:.2f} to {100 * one['accuracy_high']:.2f}",
        )
        for one in records
    ]
    first = records[0]
    told = (
        f"{first['data']}, {first['questions']:,} test questions, {first['scale']} scale, seed "
        f"{first['seed']}; always the commonest answer: {100 * first['majority_accuracy']:.2f}%. "
        f"`{first['command']}` on {first['machine']}."
    )
    return f"{table(names.split(', '), lines)}\n\n{told}"


def _prefill(path: Path) -> str:
    found = read(path)
    base, setting = found["baseline"], found["setting"]
    lines = [
        (f"`{system}`", f"{seconds:.3f}", f"{found['seconds'][base] / seconds:.2f}")
        for system, seconds in found["seconds"].items()
    ]
    told = (
        f"{setting['visual_tokens']:,} visual and {setting['text_tokens']} text tokens, a "
        f"random decoder of {setting['layers']} layers and width {setting['width']:,}, medians of "
        f"{setting['repeats']} in turn. `{found['command']}` on {found['machine']}, "
        f"{found['threads']} threads."
    )
    return f"{table(('system', 'prefill, seconds', 'times faster'), lines)}\n\n{told}"
