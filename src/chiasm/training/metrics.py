"""The curve of a run: one JSON object a step in `metrics.jsonl`."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

FILE = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """One step."""

    step: int
    """From 1."""
    stage: str
    epoch: int
    samples: int
    """Examples taught so far."""
    loss: float
    """Mean over the step's taught ids, before its update."""
    lr: float
    gradient_norm: float
    auxiliary: dict[str, float] = field(default_factory=dict)
    """Losses by name: the layers' own (a router's balance), no part of `loss`; and where pictures
    are drawn, `text` and `velocity`, its two parts."""
    tokens_per_second: float
    seconds: float
    """Spent on steps so far."""
    progress: float
    """Share of the budget done before the step: what the learning rate follows."""


class Curve:
    """Appends to the file; every line reaches the operating system at once, none waits for disk."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, metrics: Metrics) -> None:
        self._file.write(json.dumps(asdict(metrics)) + "\n")


def read(folder: Path) -> list[Metrics]:
    """The steps recorded so far, in order; a last line cut short by a kill is dropped."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    out = []
    for line in lines:
        try:
            out.append(Metrics(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return out


def rewrite(folder: Path, steps: Sequence[Metrics]) -> None:
    """Replace the file by these steps, atomically."""
    new = folder / f".{FILE}.new"
    text = "".join(json.dumps(asdict(metrics)) + "\n" for metrics in steps)
    new.write_text(text, encoding="utf-8")
    os.replace(new, folder / FILE)
