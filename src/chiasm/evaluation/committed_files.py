"""What result files and the README's tables share: writing and reading a record, and Markdown."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chiasm.errors import ChiasmError


def read(path: Path) -> Any:
    """The record of a result file; ChiasmError if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChiasmError(f"{path}: not JSON ({error}); measure it again") from None


def write(path: Path, record: Any) -> None:
    """The record as a result file, in one step; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(new, path)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in the cells are escaped."""
    cut = [head, ["---"] * len(head), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in cut
    )
