import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.retrieval.reciprocal import reciprocal

ids = st.lists(st.sampled_from("abcdefg"), unique=True)


def test_by_hand():
    found = reciprocal([["a", "b"], ["b", "c"]], [1.0, 0.5], k=60)
    assert [one for one, _ in found] == ["b", "a", "c"]
    wanted = [1 / 62 + 0.5 / 61, 1 / 61, 0.5 / 62]
    assert [score for _, score in found] == pytest.approx(wanted)


@given(st.lists(st.tuples(ids, st.floats(0, 3)), max_size=4))
def test_equals_the_equation(ranked):
    lists, weights = [one for one, _ in ranked], [weight for _, weight in ranked]
    found = reciprocal(lists, weights)
    wanted = {
        one: sum(w / (61 + own.index(one)) for own, w in ranked if one in own)
        for own in lists
        for one in own
    }
    assert dict(found) == pytest.approx(wanted)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


def test_one_list_keeps_its_order_and_none_gives_nothing():
    assert [one for one, _ in reciprocal([list("dacb")])] == list("dacb")
    assert reciprocal([]) == []


@pytest.mark.parametrize(
    ("lists", "weights"), [([["a"]], [1.0, 2.0]), ([["a"]], [-1.0]), ([["a", "a"]], None)]
)
def test_nonsense_is_refused(lists, weights):
    with pytest.raises(Misuse):
        reciprocal(lists, weights)
