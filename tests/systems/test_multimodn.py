"""The card of 114 multimodn; its state by itself is tested in `tests/layers/test_states.py`."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, said, shared_model, tiny

from chiasm.connectors import RawFeatures
from chiasm.spec.slots import SlotParts
from chiasm.stream import Role
from chiasm.visibility import dense_permission

SLUG = "multimodn"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
BOTH = (Picture(1, 30, 50), said(4, 2), said(1, 3, Role.TAG), said(2, 4, Role.ASSISTANT))
WORDS = BOTH[1:]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def every_score(samples: tuple) -> torch.Tensor:
    model = shared_model(SLUG)
    return model.head.emit_all(model.hidden(batch(tiny(SLUG), samples)))


@lawful
def test_each_modality_gives_a_prediction_and_a_missing_one_repeats_the_last():
    both, words = every_score((BOTH,)), every_score((WORDS,))
    assert both.shape[2] == words.shape[2] == 3
    assert torch.equal(words[:, :, 1], words[:, :, 0])
    assert not torch.equal(both[:, :, 1], both[:, :, 0])
    close(both[:, :, 0], both[:, :1, 0].expand_as(both[:, :, 0]), 1e-6)


@lawful
def test_a_missing_picture_gives_its_encoder_no_gradient():
    for samples, taught in (((BOTH,), True), ((WORDS,), False)):
        model = fresh(tiny(SLUG)).train()
        model.loss(batch(tiny(SLUG), samples)).backward()
        parameters = [*model.decoder.epilogue.steps.encoders[0].parameters()]
        assert all(bool(p.grad.any()) == taught for p in parameters)


@lawful
def test_words_leave_what_the_picture_alone_predicts_bit_equal():
    other = (BOTH[0], said(4, 9), *BOTH[2:])
    assert torch.equal(every_score((BOTH,))[:, :, 1], every_score((other,))[:, :, 1])


@lawful
def test_a_batch_of_mixed_missingness_equals_each_sample_alone():
    together = every_score((BOTH, WORDS))
    close(together[:1, : every_score((BOTH,)).shape[1]], every_score((BOTH,)), 1e-5)
    close(together[1:, : len_of(WORDS)], every_score((WORDS,)), 1e-5)


def len_of(sample: tuple) -> int:
    return every_score((sample,)).shape[1]


@lawful
def test_the_loss_is_the_cross_entropy_of_every_new_state():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    states, new = model.head.states(model.hidden(inputs))
    rows = [tuple(at) for at in (inputs.labels >= 0).nonzero().tolist()]
    total = sum(
        float(F.cross_entropy(model.head.decoder(states[row][step]), inputs.labels[row]))
        for row in rows
        for step in range(3)
        if new[row][step]
    )
    assert float(model.loss(inputs)) == pytest.approx(total / len(rows), rel=1e-4)
    assert {int(new[row].sum()) for row in rows} == {2, 3}


@lawful
def test_a_price_on_change_joins_the_losses():
    answers = replace(tiny(SLUG), fusion=replace(tiny(SLUG).fusion, change=0.01))
    losses = fresh(answers).losses(batch(answers, ragged()))
    assert float(losses.auxiliary["change"]) > 0
    assert "change" not in fresh(tiny(SLUG)).losses(batch(tiny(SLUG), ragged())).auxiliary


@lawful
def test_published_sizes():
    """A state of 50, hidden layers of 32, two classes; the features are BERT's 768 wide here."""
    model = on_meta(SYSTEM.at("paper"))
    step = (768 + 50 + 1) * 32 + (32 + 1) * 50
    assert count(model, "fusion") == 50 + 2 * step
    assert count(model, "head") == (50 + 1) * 32 + (32 + 1) * 2


@lawful
def test_tokens_of_another_width_are_refused():
    answers = tiny(SLUG)
    width = RawFeatures().width(answers.encoder.width, answers.host.width)
    parts = SlotParts(
        memory_width=width,
        projector=torch.nn.Identity,
        stack=torch.nn.Identity,
        permit=dense_permission,
    )
    with pytest.raises(ValueError, match="tokens 20 wide beside a host 29 wide"):
        answers.fusion.fill(answers.host, parts)
