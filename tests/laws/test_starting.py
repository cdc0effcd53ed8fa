"""Law: what is added to a language model leaves it as it was where nothing is added yet."""

from dataclasses import fields

import pytest
import torch
from tests.tiny import batch, close, embeds, every, host_of, looks, ragged, real, said, sketch, tiny

from chiasm.assemble import build
from chiasm.spec import Answers
from chiasm.stream import TokenTable
from chiasm.visibility import Causal, dense_mask


def starts_closed(answers: Answers) -> bool:
    """Whether media reach the rows through gates alone."""
    gated = "gate_start" in {field.name for field in fields(answers.fusion)}  # type: ignore[arg-type]
    return looks(answers) and answers.fusion.placeholders(1) == 0 and gated


def reads_on(answers: Answers) -> bool:
    """Whether text alone is read from left to right, as a language model reads it, and no epilogue
    stands between its last norm and its head.
    """
    if not embeds(answers) or sketch(answers).decoder.epilogue is not None:
        return False
    text = TokenTable.text(torch.ones(1, 5, dtype=torch.bool))
    rule = answers.visibility.sequence.at(0)
    return torch.equal(dense_mask(rule, text, text), dense_mask(Causal(), text, text))


TEXTS = [(said(7, 1),), (said(3, 2),), (said(5, 3),)]


@pytest.mark.parametrize("slug", every(reads_on))
def test_without_an_image_the_model_is_its_host(slug):
    model = build(tiny(slug)).eval()
    inputs = batch(tiny(slug), TEXTS)
    got, expected = model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)]
    if tiny(slug).visibility.sequence == Causal():
        assert torch.equal(got, expected)
    else:
        close(got, expected, 1e-6)


@pytest.mark.parametrize("slug", every(starts_closed))
def test_zero_gates_leave_the_host_bit_identical(slug):
    model = build(tiny(slug)).eval()
    inputs = batch(tiny(slug), ragged())
    assert inputs.images is not None
    assert torch.equal(model(inputs), host_of(model)(inputs))
