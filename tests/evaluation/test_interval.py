"""Wilson's interval against published values and its own laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.evaluation.interval import wilson


def test_published_value():
    # Newcombe 1998, table I: 81 of 263, Wilson without continuity correction.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_published_values_near_the_ends():
    # Newcombe 1998, table I: 0 of 20 and 1 of 29.
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(count=st.integers(1, 10_000), share=st.floats(0, 1))
def test_holds_the_share_and_is_symmetric(count, share):
    right = round(share * count)
    low, high = wilson(right, count)
    assert 0 <= low <= right / count + 1e-12 and right / count - 1e-12 <= high <= 1
    mirrored = wilson(count - right, count)
    assert (1 - high, 1 - low) == pytest.approx(mirrored)


def test_more_questions_narrow_it():
    low, high = wilson(97, 100)
    tight_low, tight_high = wilson(970, 1000)
    assert tight_high - tight_low < high - low


@pytest.mark.parametrize(("right", "count"), [(0, 0), (-1, 3), (4, 3)])
def test_no_share_is_refused(right, count):
    with pytest.raises(ValueError, match="not a share"):
        wilson(right, count)
