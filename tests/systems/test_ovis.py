"""The card of 192 ovis. Equality with transformers' Ovis2 is in `tests/hub`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, said, tiny

from chiasm.connectors import VisualTable
from chiasm.encoders import VisionTransformer
from chiasm.spec import NativeResolution, Scale, geometry
from chiasm.stream import Features

SLUG = "ovis"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDTH, HOST_WIDTH, GRID = 7, 5, (3, 5)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def given() -> Features:
    return Features(4 * torch.randn(2, 15, WIDTH), GRID)


@lawful
def test_probabilities_sum_to_one_and_leave_the_marks_out():
    answer = VisualTable(vocabulary=13, indicators=2)
    chosen = answer.build(WIDTH, HOST_WIDTH).chosen(given())
    assert chosen.shape == (2, 15, 11)
    torch.testing.assert_close(chosen.sum(-1), torch.ones(2, 15))


@lawful
def test_all_of_it_on_one_word_looks_that_word_up():
    answer = VisualTable(vocabulary=13)
    connector, tokens = answer.build(WIDTH, HOST_WIDTH), given()
    with torch.no_grad():
        connector.norm.weight.fill_(1e4)
    wanted = connector.table(connector.chosen(tokens).argmax(-1))
    found = connector.connect(tokens).embeddings[:, 1:-1]
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@lawful
def test_a_token_lies_in_the_convex_hull_of_the_table():
    """In any direction no token reaches beyond the outermost words."""
    connector = VisualTable(vocabulary=13).build(WIDTH, HOST_WIDTH)
    words = connector.table.weight[:11]
    tokens = connector.connect(given()).embeddings[:, 1:-1]
    along = torch.randn(HOST_WIDTH, 500, generator=torch.Generator().manual_seed(0))
    inside = (tokens @ along).flatten(0, 1)
    assert bool((inside <= (words @ along).amax(0) + 1e-5).all())
    assert bool((inside >= (words @ along).amin(0) - 1e-5).all())


@lawful
def test_head_and_table_have_the_published_sizes():
    connector = on_meta(PAPER).connector
    head = sum(p.numel() for p in (*connector.head.parameters(), *connector.norm.parameters()))
    assert head == 134_477_820 and connector.table.weight.numel() == 536_870_912
    assert count(on_meta(PAPER), "connector") == 134_477_820 + 536_870_912
    assert geometry(PAPER, (480, 640)).placeholders == 576 + 2


@lawful
@pytest.mark.parametrize("stride", [1, 2])
def test_images_of_other_sizes_are_read_on_their_own_grids(stride):
    """Blocks of a smaller image beside a larger hold none of its padding."""
    answers = replace(
        tiny(SLUG),
        views=NativeResolution(longest=40, shortest=16),
        encoder=VisionTransformer(patch=8, width=20, depth=1, heads=4, ff_width=31),
        connector=VisualTable(vocabulary=13, stride=stride),
    )
    model = fresh(answers).requires_grad_(False)
    samples = [(Picture(1, 24, 40), said(2, 1)), (Picture(2, 40, 18), said(2, 2))]
    together = batch(answers, samples)
    logits = model(together)
    for number, sample in enumerate(samples):
        rows = together.table.valid[number]
        alone = model(batch(answers, [sample]))[0]
        torch.testing.assert_close(logits[number][rows], alone, atol=1e-4, rtol=1e-4)
