"""Few questions an example, rare answers likelier, and the same ones whenever asked again."""

from collections import Counter

import pytest

from chiasm.data.balance import Balance
from chiasm.data.example import Example, Turn

ANSWERS = ["yes"] * 47 + ["no"] * 41 + ["red"] * 7 + ["circle"] * 5


def examples(count=101):
    turns = tuple(Turn(f"question {at}?", answer) for at, answer in enumerate(ANSWERS))
    return [Example(str(at), (), turns, independent=True) for at in range(count)]


@pytest.mark.parametrize("limit", [1, 3, 99])
def test_keeps_so_many_in_their_order(limit):
    balance = Balance.of(examples(), limit=limit, seed=0)
    [one] = examples(1)
    kept = balance.choose(one, 0).turns
    assert len(kept) == limit == len(set(kept))
    assert list(kept) == [turn for turn in one.turns if turn in kept]


def test_depends_on_seed_epoch_and_example_alone():
    balance = Balance.of(examples(), limit=3, seed=0)
    first, second = examples(2)
    assert balance.choose(first, 5) == balance.choose(first, 5)
    draws = {
        balance.choose(first, 5).turns,
        balance.choose(first, 6).turns,
        balance.choose(second, 5).turns,
        Balance.of(examples(), limit=3, seed=1).choose(first, 5).turns,
    }
    assert len(draws) == 4


def test_one_draw_takes_every_answer_equally_often():
    """With weight 1 / frequency, each answer's questions together weigh 1: a draw is uniform."""
    balance = Balance.of(examples(1), limit=1, seed=3)
    drawn = Counter(balance.choose(e, 0).turns[0].answer for e in examples(4001))
    for answer in set(ANSWERS):
        assert drawn[answer] / 4001 == pytest.approx(0.25, abs=0.03)


def test_short_examples_and_conversations_stay_whole():
    balance = Balance.of(examples(), limit=3, seed=0)
    few = Example("few", (), (Turn("a?", "yes"), Turn("b?", "no")), independent=True)
    talk = Example("talk", (), tuple(Turn(f"{i}?", "yes") for i in range(11)))
    assert balance.choose(few, 0) is few and balance.choose(talk, 0) is talk
