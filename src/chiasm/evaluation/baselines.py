"""What needs no model: the most frequent answer, and the most frequent answer to each question."""

from collections import Counter
from collections.abc import Iterator, Sequence

from chiasm.data.example import Example
from chiasm.evaluation.predict import Prediction


def majority(taught: Sequence[Example], asked: Sequence[Example]) -> Iterator[Prediction]:
    """The training split's most frequent answer, whatever is asked."""
    answers = Counter(turn.answer for example in taught for turn in example.turns)
    [(constant, _)] = answers.most_common(1)
    for example in asked:
        for turn in example.turns:
            yield Prediction(example.id, turn.question, turn.answer, constant)
