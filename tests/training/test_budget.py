from dataclasses import replace

import pytest
from tests.training.toy import ADAPT, ALIGN

from chiasm.data.order import Order
from chiasm.errors import Misuse
from chiasm.training.budget import Budget, course, steps_for


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "none was given"),
        ({"minutes": 1.0, "samples": 3}, "minutes and samples was given"),
        ({"samples": 0}, "0 samples teaches nothing"),
        ({"minutes": float("nan")}, "nan minutes teaches nothing"),
    ],
)
def test_a_budget_is_exactly_one_positive_number(given: dict[str, float], message: str) -> None:
    with pytest.raises(Misuse, match=message):
        Budget(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 11, 12, 13, 22, 23, 34])
@pytest.mark.parametrize("batch", [1, 3, 11, 13])
def test_steps_are_the_fewest_that_show_so_many_samples(samples: int, batch: int) -> None:
    seen, steps = 0, 0
    batches = Order(11, 0).batches(0, batch)
    while seen < samples:
        seen += len(next(batches)[1])
        steps += 1
    assert steps_for(samples, 11, batch) == steps


def test_stages_divide_progress_by_their_shares() -> None:
    chosen = course((ALIGN, ADAPT), (2, 6))
    assert [chosen.progress(0, step) for step in (0, 1, 2)] == [0.0, 0.2, 0.4]
    assert chosen.progress(1, 3) == pytest.approx(0.7)
    assert [chosen.stage_at(at) for at in (0.0, 0.39, 0.4, 1.0)] == [0, 0, 1, 1]
    assert chosen.within(1, 0.7) == pytest.approx(0.5)
    assert chosen.within(0, 0.7) == 1.0


def test_a_stage_without_a_share_is_refused() -> None:
    with pytest.raises(Misuse, match="share of the budget above 0"):
        course((replace(ALIGN, share=0.0), replace(ADAPT, share=1.0)), None)
