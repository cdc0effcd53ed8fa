"""Law: what is added to a language model leaves it as it was where nothing is added yet."""

import pytest
import torch
from tests.tiny import batch, close, every, host_of, looks, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.spec import Answers
from chiasm.visibility import Causal


def takes_no_rows(answers: Answers) -> bool:
    return looks(answers) and answers.fusion.placeholders(1) == 0


TEXTS = [(said(7, 1),), (said(3, 2),), (said(5, 3),)]


@pytest.mark.parametrize("slug", every())
def test_without_an_image_the_model_is_its_host(slug):
    model = build(tiny(slug)).eval()
    inputs = batch(tiny(slug), TEXTS)
    got, expected = model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)]
    if tiny(slug).visibility.sequence == Causal():
        assert torch.equal(got, expected)
    else:
        close(got, expected, 1e-6)


@pytest.mark.parametrize("slug", every(takes_no_rows))
def test_zero_gates_leave_the_host_bit_identical(slug):
    model = build(tiny(slug)).eval()
    inputs = batch(tiny(slug), ragged())
    assert inputs.images is not None
    assert torch.equal(model(inputs), host_of(model)(inputs))
