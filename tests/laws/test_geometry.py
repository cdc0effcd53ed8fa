"""Law: token counts from an image's size alone are the counts that come out."""

import random

import pytest

from chiasm.spec import geometry
from tests.tiny import Picture, batch, every, looks, said, shared_model, tiny

SIZES = [(random.Random(0).randint(1, 1), 1), (1, 97), (97, 1)] + [
    (random.Random(seed).randint(1, 120), random.Random(~seed).randint(1, 120))
    for seed in range(37)
]


@pytest.mark.parametrize("slug", every(looks))
def test_counts_from_size_equal_real_counts(slug):
    model, answers = shared_model(slug), tiny(slug)
    for number, (height, width) in enumerate(SIZES):
        plan = geometry(answers, (height, width))
        inputs = batch(answers, [(Picture(number, height, width), said(2, number))])
        assert len(inputs.images) == len(plan.views)
        features = model.encoder(inputs.images, inputs.image_valid)
        assert features.grid == plan.grids[0]
        assert features.tokens.shape[1] == features.grid[0] * features.grid[1]
        media = model.media(inputs)
        if model.enters:
            assert media.entering.shape[1] == plan.kept
        if answers.fusion.reads_memory:
            assert media.memory.tokens.shape[1] == plan.tokens
            assert media.memory.table.shape[1] == plan.tokens
        assert int((inputs.source >= 0).sum()) == plan.placeholders
        assert inputs.source.max() < max(plan.kept, 1)


@pytest.mark.parametrize("slug", every(looks))
def test_bigger_image_of_the_same_view_costs_the_same(slug):
    """Counts depend on nothing but the size: the same size twice gives the same plan."""
    answers = tiny(slug)
    assert geometry(answers, (33, 47)) == geometry(answers, (33, 47))
    assert geometry(answers, (33, 47)).tokens > 0
