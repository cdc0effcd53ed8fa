"""Where a benchmark's result goes, and who measured it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chiasm.catalogue.provenance import machine_file, measured_by
from chiasm.evaluation.committed_files import write


def recorded(
    script: str, out: Path | None, found: Mapping[str, Any], *, name: str | None = None
) -> None:
    """Write what a script (its `__file__`) found, by default to results/SCRIPT/NAME.json, where the
    name is that of the machine if none is given.
    """
    path = Path(script).resolve()
    folder = path.parents[1] / "results" / path.stem
    out = out or folder / f"{name or machine_file()}.json"
    write(out, {**measured_by(path), **found})
    print(f"written to {out}")
