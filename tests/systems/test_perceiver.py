"""The card of 049 perceiver. What its encoder does is tested in `tests/encoders`, equality with
transformers' class in `tests/hub`.
"""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, said, shared_model, tiny

from chiasm.cost import count as bill_of
from chiasm.spec import Scale, geometry

SLUG = "perceiver"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("size", [(17, 31), (64, 64), (480, 640)])
def test_an_image_of_any_size_is_the_same_number_of_rows(size):
    for scale in Scale:
        answers = SYSTEM.at(scale)
        assert geometry(answers, size).placeholders == answers.encoder.stack.latents


@lawful
def test_the_published_encoder():
    """512 latents of 1024, eight reads of 50,176 pixels of 261 numbers; about 44M parameters."""
    answers = SYSTEM.at("paper")
    assert answers.encoder.element_width == 261
    assert count(on_meta(answers), "encoder") == pytest.approx(44e6, rel=0.03)
    macs = sum(w.macs for w in answers.encoder.work((224, 224)) if w.name == "read attention")
    assert macs == 8 * 2 * 50_176 * 512 * 261
    assert bill_of(SLUG).part_flops("encoder") > 2 * macs


@lawful
def test_text_reads_the_pixels():
    samples = [(said(3, 1), Picture(1, 30, 50), said(4, 2))]
    others = [(said(3, 1), Picture(2, 30, 50), said(4, 2))]
    model, answers = shared_model(SLUG), tiny(SLUG)
    one, other = model(batch(answers, samples)), model(batch(answers, others))
    close(one[:, :3], other[:, :3], 1e-6)
    assert (one[:, -1] - other[:, -1]).abs().max() > 1e-3
    assert torch.isfinite(one).all()
