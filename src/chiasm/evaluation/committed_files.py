"""What the README's tables share: reading a result file, and Markdown."""

import json
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


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in the cells are escaped."""
    cut = [head, ["---"] * len(head), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in cut
    )
