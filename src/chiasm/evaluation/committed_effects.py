"""The README's table of measured effects, from `results/SLUG/*.json`."""

from pathlib import Path
from typing import Any

from chiasm.evaluation.committed_files import read, table


def effects_block(root: Path) -> str:
    """Every effect that was measured, negative ones too, by system.

    Files without paired differences (other measurements of a system) are left out.
    """
    found = [(path, read(path)) for path in sorted(root.glob("*/*.json"))]
    effects = [(path.parent.name, one) for path, one in found if _is_effect(one)]
    if not effects:
        return "No effect has been measured yet."
    names = "system, what differs from its baseline, on, system, baseline, difference, outcome"
    lines = [
        (
            f"`{slug}`",
            one["differs"],
            one["data"],
            f"{100 * one['value']:.1f}%",
            f"{100 * one['baseline']:.1f}%",
            f"{100 * one['difference']:+.1f} ({100 * one['difference_low']:+.1f} to "
            f"{100 * one['difference_high']:+.1f})",
            one["outcome"],
        )
        for slug, one in effects
    ]
    first = effects[0][1]
    taught = sorted({one["samples"] for _, one in effects})
    pictures = " to ".join(f"{count:,}" for count in dict.fromkeys((taught[0], taught[-1])))
    told = (
        f"Accuracy on held-out questions, {first['scale']} scale, {len(first['seeds'])} seeds, "
        f"{pictures} pictures taught; difference in points with Student's 95% interval "
        "over the seeds' paired differences. An outcome is confirmed or contrary only where that "
        f"interval leaves out zero. `python benchmarks/effects.py` on {first['machine']}."
    )
    return f"{table(names.split(', '), lines)}\n\n{told}"


def _is_effect(content: Any) -> bool:
    return isinstance(content, dict) and "difference" in content and "differs" in content
