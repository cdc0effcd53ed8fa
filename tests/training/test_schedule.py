import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.spec import Stage
from chiasm.training.schedule import rate

STAGE = Stage(name="s", trained=("decoder",), learning_rate=2.0, warmup=0.2, floor=0.1)


def test_warm_up_is_linear_from_a_hundredth() -> None:
    assert rate(STAGE, 0.0) == pytest.approx(0.02)
    assert rate(STAGE, 0.1) == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert rate(STAGE, 0.2) == pytest.approx(2.0)


def test_each_schedule_at_a_quarter_of_its_fall() -> None:
    quarter = 0.2 + 0.8 / 4
    cosine = 2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate(STAGE, quarter) == pytest.approx(cosine)
    assert rate(replace(STAGE, schedule="linear"), quarter) == pytest.approx(2.0 * (1 - 0.9 / 4))
    assert rate(replace(STAGE, schedule="constant"), quarter) == 2.0


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_ends_at_the_floor(schedule: str) -> None:
    assert rate(replace(STAGE, schedule=schedule), 1.0) == pytest.approx(0.2)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert rate(replace(STAGE, warmup=0.0), 0.0) == 2.0


def test_all_warm_up_never_divides_by_zero() -> None:
    assert rate(replace(STAGE, warmup=1.0), 1.0) == 2.0


@given(st.floats(-1, 2), st.sampled_from(["cosine", "linear", "constant"]))
def test_never_leaves_its_range(progress: float, schedule: str) -> None:
    assert 0.02 <= rate(replace(STAGE, schedule=schedule), progress) <= 2.0


def test_unknown_schedule_names_the_three() -> None:
    with pytest.raises(Misuse, match=r"'step'.*cosine, linear, constant"):
        rate(replace(STAGE, schedule="step"), 0.5)
