"""Where the extractive reader should refuse: its threshold, and how often it is right there.

`answer_questions.json` holds 16 short documents, and of each 4 questions that it answers and 4 near
ones that nothing answers. The reader gets all passages of all documents at once. The threshold is
that which is right most often (an answer that holds the expected words, or a refusal where there is
none), the middle of the widest such stretch; chosen on every second document it is judged on the
others, and the other way round. The shipped threshold is chosen on all.

    python benchmarks/answer_threshold.py
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from recording import recorded

from chiasm import weights
from chiasm.answering.passages import cut, sentences
from chiasm.answering.readers.extractive import THRESHOLD, Extractive
from chiasm.evaluation.interval import wilson
from chiasm.retrieval import SentenceModel
from chiasm.retrieval.unit import Kind, Unit

QUESTIONS = Path(__file__).with_name("answer_questions.json")


@dataclass(frozen=True)
class Outcome:
    """One question: the best fit, and whether the sentence of that fit holds the answer."""

    document: int
    answerable: bool
    fit: float
    right: bool

    def good(self, threshold: float) -> bool:
        refused = self.fit < threshold
        return refused if not self.answerable else self.right and not refused


def outcomes(reader: Extractive) -> list[Outcome]:
    documents = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    parts = [
        (one["title"], sentence)
        for one in documents
        for passage in cut(unit(one))
        for sentence in sentences(passage.text)
    ]
    asked = [
        (number, question, answer)
        for number, one in enumerate(documents)
        for question, answer in (*one["questions"], *((text, None) for text in one["missing"]))
    ]
    found: list[Outcome] = []
    for number, question, answer in asked:
        fits = reader.fits(question, parts)
        sentence = parts[fits.index(max(fits))][1]
        right = answer is not None and answer in sentence
        found.append(Outcome(number, answer is not None, max(fits), right))
    return found


def unit(one: dict[str, str]) -> Unit:
    """A document of `answer_questions.json`, whole."""
    return Unit(
        id=one["path"],
        path=one["path"],
        file="",
        kind=Kind.TEXT,
        title=one["title"],
        text=one["text"],
    )


def best_threshold(fits: Sequence[float], good: Callable[[float], int]) -> float:
    """The middle of the widest stretch between fits on which most questions go well."""
    stretches = [
        (good((low + high) / 2), high - low, (low + high) / 2)
        for low, high in pairwise(sorted(set(fits)))
    ]
    return max(stretches)[2]


def _best(of: list[Outcome]) -> float:
    return best_threshold(
        [one.fit for one in of], lambda threshold: sum(one.good(threshold) for one in of)
    )


def judged(of: list[Outcome], threshold: float) -> dict[str, object]:
    answerable = [one for one in of if one.answerable]
    missing = [one for one in of if not one.answerable]
    counts = {
        "right": (sum(one.good(threshold) for one in answerable), len(answerable)),
        "wrong": (
            sum(one.fit >= threshold and not one.right for one in answerable),
            len(answerable),
        ),
        "refused though answerable": (
            sum(one.fit < threshold for one in answerable),
            len(answerable),
        ),
        "refused where nothing answers": (
            sum(one.good(threshold) for one in missing),
            len(missing),
        ),
        "all good": (sum(one.good(threshold) for one in of), len(of)),
    }
    return {name: share(count, total) for name, (count, total) in counts.items()}


def share(count: int, of: int) -> dict[str, Any]:
    """So many of so many, with the interval."""
    return {"count": count, "of": of, "share": count / of, "interval": wilson(count, of)}


def main() -> int:
    """Measures, prints, writes; 1 if the shipped threshold is not the measured one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = outcomes(Extractive(SentenceModel.open(weights.path("minilm-l6"))))
    halves = [[one for one in found if one.document % 2 == half] for half in (0, 1)]
    unseen: list[dict[str, object]] = []
    for chosen, held in (halves, halves[::-1]):
        threshold = _best(chosen)
        unseen.append({"threshold": threshold, "on the other half": judged(held, threshold)})
    threshold = _best(found)
    shipped = judged(found, THRESHOLD)
    for name, row in shipped.items():
        print(f"{name:<32}{row}")
    for one in unseen:
        print(json.dumps(one))
    print(f"measured threshold {threshold:.4f}, shipped {THRESHOLD}")
    recorded(
        __file__,
        options.out,
        {
            "metric": "share of questions answered rightly or rightly refused",
            "threshold": threshold,
            "shipped": THRESHOLD,
            "at the shipped threshold": shipped,
            "halves": unseen,
        },
    )
    return int(abs(threshold - THRESHOLD) > 0.01)


if __name__ == "__main__":
    sys.exit(main())
