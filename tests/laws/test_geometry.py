"""Law: token counts from an image's size alone are the counts that come out."""

import random

import pytest
from tests.tiny import Picture, batch, every, looks, said, shared_model, tiny

from chiasm.spec import geometry

DRAWN = random.Random(0)
SIZES = [(1, 1), (1, 97), (97, 1)] + [
    (DRAWN.randint(1, 120), DRAWN.randint(1, 120)) for _ in range(37)
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
        if answers.fusion.enters:
            assert media.entering.shape[1] == plan.kept
        if answers.fusion.reads_memory:
            assert media.memory.tokens.shape[1] == plan.tokens
            assert media.memory.table.shape[1] == plan.tokens
        assert int((inputs.source >= 0).sum()) == plan.placeholders
        # Rows that stand for no token (a soft prompt) are numbered on, where none enters as such.
        most = plan.kept if answers.fusion.enters else max(plan.kept, plan.placeholders)
        assert inputs.source.max() < max(most, 1)
