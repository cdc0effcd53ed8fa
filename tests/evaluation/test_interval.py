"""Wilson's interval against published values and its own laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.evaluation.interval import clustered, student, wilson


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


VALUES = [1.0, 0.0, -1.0, 0.0, 1.0, 1.0, 0.0]


def test_values_alone_in_their_clusters_have_students_interval():
    assert clustered(VALUES, range(7)) == pytest.approx(student(VALUES))


def test_repeated_answers_of_a_cluster_tell_nothing_new():
    """Independent values three times as many would narrow it."""
    again = [value for value in VALUES for _ in range(3)]
    pictures = [number for number in range(7) for _ in range(3)]
    assert clustered(again, pictures) == pytest.approx(clustered(VALUES, range(7)))
    low, high = clustered(again, range(21))
    assert high - low < 0.7 * (clustered(VALUES, range(7))[1] - clustered(VALUES, range(7))[0])


def test_unequal_clusters_by_hand():
    # Sums 2, -1 over 3 and 2 values: mean 1/5, squares (2 - 3/5)^2 + (-1 - 2/5)^2 = 3.92;
    # error = sqrt(2 * 3.92) / 5 = 0.56, t of 1 degree at 97.5% = 12.7062.
    low, high = clustered([1, 1, 0, 0, -1], "aaabb")
    assert (low, high) == pytest.approx((0.2 - 7.11547, 0.2 + 7.11547), abs=1e-3)


def test_one_cluster_is_refused():
    with pytest.raises(ValueError, match="1 cluster"):
        clustered([1.0, 0.0], "aa")
