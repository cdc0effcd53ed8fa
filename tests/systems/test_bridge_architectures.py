"""The card of 057 bridge-architectures; its connector's tokens are made again by hand."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.connectors import Bridge
from chiasm.connectors.regions import cells
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "bridge-architectures"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDTH, OUT = 5, 7


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def made(**config: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return Bridge(**config).build(WIDTH, OUT)


@lawful
def test_tokens_equal_the_equations():
    bridge, f = made(soft=2, objects=3), torch.randn(2, 6, WIDTH)
    found = bridge.connect(Features(f, (2, 3))).embeddings
    boxes = cells((2, 3)).flatten(0, 1)
    for image in range(2):
        soft = bridge.whole(f[image].mean(0)).view(2, OUT)
        longest = sorted(sorted(range(6), key=lambda at: -f[image, at].norm())[:3])
        for at, cell in enumerate(longest):
            left, top, right, bottom, area = boxes[cell].tolist()
            box = torch.tensor([left, top, right, bottom, right - left, bottom - top, area])
            token = bridge.objects(f[image, cell]) + bridge.boxes(box)
            close(found[image, 2 + at], token, 1e-5)
        close(found[image, :2], soft, 1e-5)


@lawful
@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    soft=st.integers(1, 3),
    objects=st.integers(0, 9),
    missing=st.integers(0, 4),
)
def test_planned_tokens_are_those_that_come_out(rows, columns, soft, objects, missing):
    """With padding, an image's valid tokens are as many as its own grid gives."""
    config = Bridge(soft=soft, objects=objects)
    bridge = config.build(WIDTH, OUT)
    f = torch.randn(1, rows * columns, WIDTH)
    plain = bridge.connect(Features(f, (rows, columns)))
    assert plain.embeddings.shape[1] == config.count((rows, columns))
    kept = max(1, columns - missing)
    valid = (torch.arange(columns) < kept).expand(rows, -1).flatten()[None]
    padded = bridge.connect(Features(f * valid.unsqueeze(-1), (rows, columns), valid))
    real = padded.embeddings.shape[1] if padded.valid is None else int(padded.valid.sum())
    assert real == config.count((rows, kept))


@lawful
def test_with_a_map_of_zeros_what_objects_look_like_changes_nothing():
    bridge, f = made(soft=2, objects=6), torch.randn(1, 6, WIDTH)
    with torch.no_grad():
        bridge.objects.weight.zero_()
    other = f + torch.tensor([1.0, -1.0, 2.0, -2.0, 0.5, -0.5])[None, :, None]
    one, two = (bridge.connect(Features(x, (2, 3))).embeddings for x in (f, other))
    close(one, two, 1e-5)


@lawful
def test_without_objects_it_is_a_bridge_of_soft_tokens():
    with_objects, without = made(soft=2, objects=3), made(soft=2, objects=0)
    without.load_state_dict(with_objects.state_dict(), strict=False)
    f = Features(torch.randn(2, 6, WIDTH), (2, 3))
    soft = without.connect(f).embeddings
    assert torch.equal(soft, with_objects.connect(f).embeddings[:, :2])
    assert soft.shape == (2, 2, OUT)


@lawful
def test_two_images_take_twice_their_tokens():
    plan = geometry(SYSTEM.at("paper"), (480, 640))
    assert plan.placeholders == 4 + 10
    two = (Picture(1, 24, 40), Picture(2, 24, 40), said(4, 2))
    inputs = batch(tiny(SLUG), [two])
    each = geometry(tiny(SLUG), (24, 40)).placeholders
    assert inputs.ids.shape[1] == 2 * each + 4
    swapped = batch(tiny(SLUG), [(two[1], two[0], two[2])])
    model = fresh(tiny(SLUG))
    assert not torch.allclose(model(inputs)[:, -1], model(swapped)[:, -1])


@lawful
def test_published_sizes():
    """k maps of 1024 to 4096, one of objects and one of boxes; LoRA of rank 8 on attention."""
    model = on_meta(SYSTEM.at("paper"))
    soft, objects = (1024 + 1) * 4 * 4096, (1024 + 1) * 4096 + 7 * 4096
    assert count(model, "connector") == soft + objects
    assert count(model, "experts") == 32 * 4 * 8 * 2 * 4096
    bare = replace(SYSTEM.at("paper"), connector=Bridge(objects=0))
    assert count(on_meta(bare), "connector") == soft
