"""Listwise scores: averaged over cyclic shifts they know no order and no favourite place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.answering.steps.judged import list_scores, position_curve

pytestmark = pytest.mark.evidence(slug="mrag", grade="lawful")
worths = st.lists(st.integers(0, 99), min_size=1, max_size=7, unique=True)


def judge(worth, favour):
    """Orders by worth, plus a liking for what stands first."""

    def ordered(places):
        score = [worth[place] + favour * (at == 0) for at, place in enumerate(places)]
        return tuple(at + 1 for at in sorted(range(len(places)), key=lambda at: -score[at]))

    return ordered


@given(worths, st.randoms(use_true_random=False))
def test_the_scores_move_with_the_candidates(worth, random):
    """Whatever order they come in, each gets the same score: shifts start from a fixed order."""
    order = list(range(len(worth)))
    random.shuffle(order)
    moved = [worth[place] for place in order]
    start = sorted(range(len(worth)), key=lambda place: worth[place])
    start_moved = sorted(range(len(worth)), key=lambda place: moved[place])
    scores = list_scores(start, judge(worth, 50), shifts=True)
    again = list_scores(start_moved, judge(moved, 50), shifts=True)
    assert [scores[place] for place in order] == again


@given(worths)
def test_a_favourite_place_adds_the_same_to_all(worth):
    """A judge that always puts the first first: no candidate gains by it."""
    scores = list_scores(range(len(worth)), judge(worth, 1000), shifts=True)
    best = sorted(range(len(worth)), key=lambda place: -worth[place])
    assert sorted(scores, reverse=True) == [scores[place] for place in best]


@given(worths)
def test_without_a_favourite_place_one_prompt_is_enough(worth):
    one = list_scores(range(len(worth)), judge(worth, 0), shifts=False)
    assert one == pytest.approx(list_scores(range(len(worth)), judge(worth, 0), shifts=True))


def test_one_prompt_alone_follows_the_favourite_place():
    worth = [1, 2, 3, 4, 5]
    assert list_scores(range(5), judge(worth, 1000), shifts=False).index(1.0) == 0
    shifted = list_scores(range(5), judge(worth, 1000), shifts=True)
    assert max(shifted) == shifted[4]


def test_answers_that_are_no_order_are_left_out():
    calls = []

    def ordered(places):
        calls.append(places)
        return judge([3, 2, 1], 0)(places) if len(calls) == 2 else None

    assert list_scores(range(3), ordered, shifts=True) == [1.0, 0.5, 0.0]
    assert len(calls) == 3
    assert list_scores(range(3), lambda places: None, shifts=True) == [0.0, 0.0, 0.0]
    assert list_scores(range(0), ordered, shifts=True) == []


def test_the_curve_of_positions_shows_a_favourite_place():
    worth = [3, 7, 1, 9, 4]
    gold = worth.index(max(worth))
    assert position_curve(judge(worth, 0), 5, gold) == [True] * 5
    weak = min(range(5), key=lambda place: worth[place])
    assert position_curve(judge(worth, 1000), 5, weak) == [True, False, False, False, False]
