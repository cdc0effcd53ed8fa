"""One label of what ten people answered."""

import pytest

from chiasm.data.answer_labels import counted, label_of
from chiasm.errors import Misuse


def test_the_most_frequent_answer_is_the_label():
    answers = ["Red", "red ", "blue", "red", "blue", "dark red", "green", "red", "blue", "pink"]
    assert label_of(answers, {"blue": 1000}) == "red"


def test_ties_go_to_the_corpus_then_to_likeness_then_to_the_alphabet():
    answers = ["soup", "can", "soup", "can", "soup can", "soup cans"]
    assert label_of(answers, {"can": 7, "soup": 3}) == "can"
    assert label_of(answers, {"can": 3, "soup": 3}) == "soup"  # more letters of the others
    assert label_of(["b", "a"], {}) == label_of(["a", "b"], {}) == "a"


def test_a_corpus_is_counted_over_all_questions_and_people():
    often = counted([["Yes", "yes", "no"], ["no", "unanswerable"], ["No "]])
    assert often == {"yes": 2, "no": 3, "unanswerable": 1}
    assert label_of(["yes", "no"], often) == "no"


@pytest.mark.parametrize("answers", [[], ["", "  "]])
def test_nobody_answered(answers):
    with pytest.raises(Misuse, match="nobody answered"):
        label_of(answers, {})
