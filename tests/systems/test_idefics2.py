"""The card of 045 idefics2. Equality with transformers' class is in `tests/hub`."""

import random
from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.spec import Scale, geometry
from chiasm.stream import Features

SLUG = "idefics2"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_64_tokens_for_any_size():
    answers, drawn = SYSTEM.at(Scale.PAPER), random.Random(0)
    for _ in range(200):
        size = drawn.randint(1, 3000), drawn.randint(1, 3000)
        plan = geometry(answers, size)
        assert plan.placeholders == plan.tokens == 64
        (view,) = plan.views
        assert max(view.target) <= 980


@lawful
@pytest.mark.parametrize("grid", [(1, 1), (27, 31), (70, 70)])
def test_the_resampler_gives_64_latents_at_the_hosts_width(grid):
    model = on_meta(SYSTEM.at(Scale.PAPER))
    features = Features(torch.empty(2, grid[0] * grid[1], 1152, device="meta"), grid)
    assert model.connector.connect(features).embeddings.shape == (2, 64, 4096)


@lawful
def test_split_images_hold_five_times_64_tokens():
    answers = SYSTEM.at(Scale.PAPER)
    split = replace(answers, views=replace(answers.views, split=True))
    plan = geometry(split, (800, 600))
    assert len(plan.views) == 5
    assert plan.placeholders == 5 * 64 == 320


@lawful
def test_padded_patches_cannot_change_the_output():
    """A small image beside a large one, with noise where it is padded, against the image alone."""
    model, answers = fresh(tiny(SLUG)), tiny(SLUG)
    small, large = (Picture(1, 16, 16), said(2, 1)), (Picture(2, 40, 40), said(2, 2))
    alone = model(batch(answers, [small]))
    both = batch(answers, [small, large])
    assert both.image_valid is not None
    noise = torch.randn(both.images.shape, generator=torch.Generator().manual_seed(0))
    noisy = replace(both, images=torch.where(both.image_valid.unsqueeze(1), both.images, noise))
    assert not torch.equal(noisy.images, both.images)
    assert torch.equal(model(noisy), model(both))
    close(model(both)[0], alone[0], 1e-5)


@lawful
def test_permuting_the_context_after_positions_leaves_latents_equal():
    model = fresh(tiny(SLUG))
    width, order = tiny(SLUG).encoder.width, torch.randperm(12)
    tokens = torch.randn(3, 12, width, generator=torch.Generator().manual_seed(0))
    valid = torch.arange(12).expand(3, 12) < torch.tensor([[12], [5], [9]])
    here = model.connector.connect(Features(tokens, (3, 4), valid)).embeddings
    there = model.connector.connect(Features(tokens[:, order], (3, 4), valid[:, order])).embeddings
    close(there, here, 1e-6)
    wrong = model.connector.connect(Features(tokens[:, order], (3, 4), valid)).embeddings
    assert float((wrong - here).detach().abs().max()) > 1e-4


@lawful
def test_latents_differ_from_one_another():
    """Latents that started equal would read the same and stay one token."""
    model = fresh(tiny(SLUG))
    tokens = model.media(batch(tiny(SLUG), [(Picture(1, 30, 30), said(1, 1))])).entering[0]
    apart = (tokens.unsqueeze(0) - tokens.unsqueeze(1)).norm(dim=-1)
    assert float((apart + torch.eye(len(tokens)) * 9).detach().min()) > 1e-2


@lawful
def test_parts_hold_the_published_sizes():
    model = on_meta(SYSTEM.at(Scale.PAPER))
    width, hidden = 4096, 14_336
    projection = 2 * 1152 * hidden + hidden * width
    layer = 2 * width * 16 * 96 + 2 * width * 4 * 96 + 3 * width * 4 * width + 3 * width
    assert count(model, "connector") == projection + 3 * layer + width + 64 * width
