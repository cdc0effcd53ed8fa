"""FocusLLaVA without training: the question's rows choose, in one layer."""

import pytest
import torch
from tests.compression.made_up import evidence, host

from chiasm.compression.alive import counted
from chiasm.compression.methods.focusllava import FocusLLaVA

pytestmark = pytest.mark.evidence(slug="focusllava", grade="lawful")


def test_half_is_kept_from_layer_8_of_32():
    (reducer,) = FocusLLaVA(keep=(8 + 24 / 2) / 32).reducers(host(depth=32))
    assert reducer.site.layer == 8 and reducer.budget.share == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("keep", "layer"), [(0.9, 8), (0.5, 8), (0.4, 6), (0.25, 4), (0.1, 1), (0.05, 1)]
)
def test_a_small_budget_moves_the_cut_forward(keep, layer):
    (reducer,) = FocusLLaVA(keep=keep).reducers(host(depth=32))
    assert reducer.site.layer == layer
    assert counted((reducer,), ((576,),), 32).keep == pytest.approx(keep, abs=1 / 576)


def test_what_the_question_attends_to_stays():
    (reducer,) = FocusLLaVA(keep=0.5).reducers(host(depth=32))
    made = evidence(((1, 7, 11), (1, 3, 5)), reducer.needs)
    (look,) = reducer.needs
    assert made.seen[look].shape[1] == 5, "the text rows behind the pictures"
    mean = made.seen[look].mean((0, 1))[made.row]
    left = reducer.reduce(made).index
    assert torch.equal(left, mean.topk(len(left)).indices.sort().values)
