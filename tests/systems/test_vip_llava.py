"""The card of 088 vip-llava; parity with transformers is in `tests/hub`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, said, tiny

from chiasm.data import load
from chiasm.data.pixels import LLAVA
from chiasm.data.views import picture, view_pixels
from chiasm.data.visual_prompts import Mark, marked
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.spec import geometry

SLUG = "vip-llava"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PATCH = 14


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize(("host", "held"), [(None, 37_767_168), (VICUNA_13B, 52_449_280)])
def test_parameters_of_the_connector(host, held):
    """(5 x 1024) d + d + d^2 + d of the MLP, and 2 x 5120 of the norm."""
    answers = SYSTEM.at("paper")
    answers = answers if host is None else replace(answers, host=host)
    assert count(on_meta(answers), "connector") == held


@lawful
def test_as_many_tokens_enter_as_before():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 576
    assert SYSTEM.at("paper").encoder.places == (23, 20, 17, 14, 6)


@lawful
def test_a_tap_of_every_layer_reaches_the_rows():
    answers = tiny(SLUG)
    model = fresh(answers)
    inputs = batch(answers, [(said(3, 1), Picture(1, 24, 40), said(2, 2))])
    features = model.encoder(inputs.images)
    taps = [tap.detach().requires_grad_() for tap in features.taps]
    joined = replace(features, tokens=torch.cat(taps, -1))
    model.connector.connect(joined).embeddings.square().sum().backward()
    assert len(taps) == 3
    assert all(float(tap.grad.abs().amin(-1).max()) > 0 for tap in taps)


@lawful
def test_a_mark_of_no_opacity_is_llavas_input():
    scene = load("scenes", "test")[0].images[0]
    clean = picture(scene)
    box = [(10, 12), (30, 12), (30, 40), (10, 40)]
    unseen = Mark(shape="mask", ink="pink", opacity=0.0, stroke=4.0)
    views = SYSTEM.at("paper").views.plan((64, 64))
    plain, drawn = (
        view_pixels(image, views, LLAVA)[0] for image in (clean, marked(clean, box, unseen))
    )
    assert torch.equal(plain, drawn)


@lawful
@pytest.mark.parametrize("shape", ["rectangle", "ellipse", "point", "mask", "contour", "scribble"])
def test_moving_a_mark_changes_the_patches_it_covered_or_covers(shape):
    image = picture(load("scenes", "test")[1].images[0]).resize((336, 336))
    mark = Mark(shape=shape, ink="cyan", opacity=0.8, stroke=3.0, seed=5)
    boxes = [(20, 30, 70, 90), (180, 200, 230, 260)]
    views = SYSTEM.at("paper").views.plan((336, 336))
    pixels = [
        view_pixels(marked(image, [(a, b), (c, b), (c, d), (a, d)], mark), views, LLAVA)[0]
        for a, b, c, d in boxes
    ]
    changed = (pixels[0] - pixels[1]).abs().amax(0).unfold(0, PATCH, PATCH).unfold(1, PATCH, PATCH)
    patches = changed.amax((-1, -2)) > 0
    allowed = torch.zeros_like(patches)
    for left, top, right, bottom in boxes:
        # An ellipse through a box's corners reaches a fifth of an edge beyond it.
        more = 16
        allowed[
            (top - more) // PATCH : (bottom + more) // PATCH + 1,
            (left - more) // PATCH : (right + more) // PATCH + 1,
        ] = True
    assert bool(patches.any()) and not bool((patches & ~allowed).any())
