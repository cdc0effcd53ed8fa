"""The card of 126 unival; merging by itself is tested in `tests/training`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.spec import Frames, geometry
from chiasm.stream import Role
from chiasm.training.merging import merged

SLUG = "unival"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = (Picture(1, 60, 40), said(4, 2), said(1, 3, Role.TAG), said(2, 4, Role.ASSISTANT))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_order_of_frames_changes_nothing_that_is_said():
    """A frame's places are those of every frame: attention cannot tell which came first."""
    answers = replace(tiny(SLUG), views=Frames(count=3, height=24, width=40))
    model, inputs = fresh(answers), batch(answers, [SAMPLE])
    assert inputs.images is not None and inputs.images.shape[0] == 3
    swapped = replace(inputs, images=inputs.images[[2, 0, 1]])
    one, other = model(inputs)[0], model(swapped)[0]
    each = geometry(answers, (60, 40)).tokens // 3
    close(one[3 * each :], other[3 * each :], 1e-4)
    close(one[: 3 * each].view(3, each, -1)[[2, 0, 1]], other[: 3 * each].view(3, each, -1), 1e-4)
    assert not torch.allclose(one[:each], other[:each], atol=1e-3)


@lawful
def test_a_merged_model_at_either_end_answers_as_that_model():
    inputs = batch(tiny(SLUG), [SAMPLE])
    one, other, between = (fresh(tiny(SLUG), seed=seed) for seed in (0, 1, 2))
    for share, end in ((1.0, one), (0.0, other)):
        between.load_state_dict(merged(one.state_dict(), other.state_dict(), share))
        assert torch.equal(between(inputs), end(inputs))
    between.load_state_dict(merged(one.state_dict(), other.state_dict(), 0.5))
    assert not torch.equal(between(inputs), one(inputs))


@lawful
def test_published_sizes():
    """One map of features to the transformer's width, and a place for each cell of the grid."""
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "connector") == (1280 + 1) * 768 + 15 * 15 * 768
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 15 * 15
