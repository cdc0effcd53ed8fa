"""easy-VQA: pictures of one coloured shape and questions about it, as its authors split them.

5,000 images of 64 x 64 pixels (4,000 train, 1,000 test), 48,248 questions, 13 answers; MIT licence.
Source: github.com/vzhou842/easy-VQA.
"""

import json
from itertools import groupby
from pathlib import Path

from chiasm import weights
from chiasm.data.example import Dataset, Example, Turn
from chiasm.errors import ChiasmError

PACKAGE = "easy-vqa"
SPLITS = ("train", "test")


def load(split: str, folder: Path | None = None) -> Dataset:
    """The split, one example an image, its questions independent of one another.

    `folder` holds `train/` and `test/`; by default the fetched package. Raises ChiasmError if it
    was not fetched or a file of it is missing.
    """
    folder = weights.path(PACKAGE) if folder is None else folder
    path = folder / split / "questions.json"
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        examples = tuple(
            Example(
                id=f"easy-vqa/{split}/{image}",
                images=(folder / split / "images" / f"{image}.png",),
                turns=tuple(Turn(question, answer) for question, answer, _ in group),
                independent=True,
            )
            for image, group in groupby(records, key=lambda record: record[2])
        )
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ChiasmError(
            f"{path}: not easy-VQA's list of [question, answer, image] ({error}); "
            f"run `chiasm data fetch {PACKAGE}`"
        ) from None
    return Dataset("easy-vqa", split, examples)


def answers(folder: Path | None = None) -> tuple[str, ...]:
    """The 13 answers, in the authors' order (for classification heads)."""
    folder = weights.path(PACKAGE) if folder is None else folder
    return tuple((folder / "answers.txt").read_text(encoding="utf-8").split())
