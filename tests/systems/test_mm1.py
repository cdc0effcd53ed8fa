"""The card of 037 mm1. Its convolutions are tested in their own room."""

from math import exp, log

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip

from chiasm.connectors import CAbstractor, PerceiverResampler
from chiasm.data.blocks import Blocks
from chiasm.lineages.teaching import scaled_rate
from chiasm.spec import Scale, geometry
from chiasm.stream import Features

SLUG = "mm1"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
THREE = {
    "average": CAbstractor(side=12, hidden=0, depth=0),
    "attention": PerceiverResampler(latents=144, depth=1, heads=2, head_width=4, project=True),
    "convolutions": CAbstractor(side=12, hidden=8, depth=1),
}


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("kind", THREE)
@pytest.mark.parametrize("grid", [(24, 24), (27, 27), (48, 48)])
def test_three_connectors_give_equal_counts(kind, grid):
    connector = THREE[kind].build(5, 7)
    out = connector.connect(Features(torch.randn(1, grid[0] * grid[1], 5), grid)).embeddings
    assert out.shape == (1, 144, 7) and THREE[kind].count(grid) == 144


@lawful
def test_means_over_shares_are_those_of_their_places():
    """Slow reference of average pooling: 5 x 6 places to 2 x 2 overlapping shares."""
    connector = CAbstractor(side=2, hidden=0, depth=0).build(3, 4)
    maps = torch.randn(1, 5, 6, 3)
    shares = [
        maps[0, top:bottom, left:right].mean((0, 1))
        for top, bottom in ((0, 3), (2, 5))
        for left, right in ((0, 3), (3, 6))
    ]
    out = connector.connect(Features(maps.flatten(1, 2), (5, 6))).embeddings[0]
    torch.testing.assert_close(out, connector.readout(torch.stack(shares)))


@lawful
@pytest.mark.parametrize("size", [(1344, 1344), (20, 3000)])
def test_five_views_are_720_tokens(size):
    plan = geometry(PAPER, size)
    assert [view.kind for view in plan.views] == [*["tile"] * 4, "global"]
    assert plan.grids == ((48, 48),) * 5 and plan.placeholders == 720


@lawful
def test_the_rate_follows_from_the_decoders_size():
    assert scaled_rate(1.2e9) == pytest.approx(8.6e-5, rel=0.01)
    [stage] = PAPER.teaching.stages
    inside = count(on_meta(PAPER), "decoder") - PAPER.host.vocabulary * PAPER.host.width
    assert inside == pytest.approx(2.8e9, rel=0.02)
    assert stage.learning_rate == pytest.approx(exp(-0.4214 * log(2.8e9) - 0.5535))
    assert stage.weight_decay == pytest.approx(0.1 * stage.learning_rate)
    assert {"encoder", "connector", "decoder"} <= set(stage.trained)


@lawful
def test_batches_hold_45_45_and_10_percent():
    """Over 200 steps of 512 sequences, within two tenths of a percent."""
    shares = {"captions": 0.45, "interleaved": 0.45, "text": 0.1}
    blocks = Blocks(counts=dict.fromkeys(shares, 9_999), weights=shares, batch=512, block=1)
    names = sorted(shares)
    drawn = [int(n) for step in range(200) for n in blocks.sources(step)]
    for place, name in enumerate(names):
        assert drawn.count(place) / len(drawn) == pytest.approx(shares[name], abs=0.005)
