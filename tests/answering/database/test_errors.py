"""The errors of aggregates, against their definition on examples worked by hand."""

import pytest

from chiasm.answering.database.errors import count_error, in_error, max_error
from chiasm.errors import Misuse

GOLD = {"a": 2, "b": 3, "c": 0, "d": 5}

pytestmark = pytest.mark.evidence(slug="mmndb", grade="builds")


def test_count_error_adds_what_is_off_what_is_irrelevant_and_what_is_missed():
    assert count_error({"a": 1, "b": 4, "c": 2}, GOLD) == pytest.approx((0 + 2 + 5) / 10)
    assert count_error({"a": 4, "b": 4, "d": 5}, GOLD) == pytest.approx(3 / 10)


def test_max_and_in_errors():
    assert max_error({"a": 1, "b": 4}, GOLD) == pytest.approx(1 / 5)
    assert in_error({"a": 1, "b": 0, "c": 2, "d": 0}, GOLD) == pytest.approx(1 / 3)


@pytest.mark.parametrize("error", [count_error, max_error, in_error])
def test_the_truth_has_no_error_and_nothing_has_error_one(error):
    assert error(GOLD, GOLD) == 0
    assert error({}, GOLD) == 1
    with pytest.raises(Misuse, match="is 0; errors are relative"):
        error({"a": 1}, {"a": 0})
