"""The card of 162 mmmmodal."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, ragged, said, shared_model, tiny

from chiasm.connectors import StridedConv
from chiasm.spec import geometry
from chiasm.stream import Role

SLUG = "mmmmodal"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

CHAT = (
    replace(said(3, 1), turn=0),
    Picture(1, 24, 40),
    Picture(2, 24, 40),
    replace(said(2, 2, Role.ASSISTANT), turn=0),
    replace(said(2, 3), turn=1),
    Picture(3, 24, 40, turn=1),
    replace(said(3, 4, Role.ASSISTANT), turn=1),
)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_576_tokens_an_image_between_two_marks():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 576 + 2
    answers = tiny(SLUG)
    rows = batch(answers, [CHAT]).source >= 0
    assert int(rows.sum()) == 3 * (15 + 2)
    # TinyLlama's 1.1 billion and SigLIP-B's 93 million, and 5.8 million of the projector.
    assert count(on_meta(SYSTEM.at("paper")), "connector") == 768 * 2048 + 2048 * 2050 + 2 * 2048


@lawful
def test_images_in_another_order_with_their_indices_are_the_same_chat():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), [CHAT, *ragged()])
    assert inputs.images is not None and inputs.owners is not None
    order = torch.randperm(len(inputs.images), generator=torch.Generator().manual_seed(1))
    places = order.argsort()
    owners = torch.where(inputs.owners < 0, inputs.owners, places[inputs.owners.clamp(min=0)])
    assert not torch.equal(owners, inputs.owners)
    shuffled = replace(inputs, images=inputs.images[order], owners=owners)
    close(model(shuffled), model(inputs), 1e-5)
    wrong = replace(inputs, images=inputs.images[order])
    assert float((model(wrong) - model(inputs)).abs().max()) > 1e-2


@lawful
def test_a_sample_without_images_reads_nothing_of_anothers():
    model, words = shared_model(SLUG), (said(6, 5), said(2, 7, Role.ASSISTANT))
    logits = [
        model(batch(tiny(SLUG), [(said(2, 1), Picture(number, 24, 40)), words]))[1, :8]
        for number in (1, 2)
    ]
    assert torch.equal(*logits)


@lawful
def test_a_clip_of_sound_would_be_487_tokens():
    """The second projector's count: (1500 - 40) / 3 + 1."""
    assert StridedConv(kernel=40, stride=3, channels=512).count((1, 1500)) == 487
