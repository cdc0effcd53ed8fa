"""The card of 023 omchat. Bit-exact tiles are tested with the views, in `tests/spec`."""

import random
from dataclasses import replace

import pytest
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip

from chiasm.connectors import MLP
from chiasm.spec import FittedTiles, Scale, geometry

SLUG = "omchat"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def llava_best(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of LLaVA's select_best_resolution, on the five resolutions."""
    best, fit = (0, float("inf")), (0, 0)
    for rows, columns in PAPER.views.grids:
        height, width = rows * 448, columns * 448
        scale = min(width / size[1], height / size[0])
        shown = min(int(size[1] * scale) * int(size[0] * scale), size[0] * size[1])
        wasted = height * width - shown
        if shown > best[0] or (shown == best[0] and wasted < best[1]):
            best, fit = (shown, wasted), (height, width)
    return fit


@lawful
def test_views_are_a_thumbnail_and_the_cells_of_llavas_grid():
    drawn, other = random.Random(0), 0
    for _ in range(1000):
        size = drawn.randint(20, 2000), drawn.randint(20, 2000)
        views = PAPER.views.plan(size)
        assert views[0].kind == "global" and {view.kind for view in views[1:]} == {"tile"}
        height, width = llava_best(size)
        other += len(views) - 1 != height * width // 448**2
        assert geometry(PAPER, size).placeholders == 144 * len(views)
    # Integers here, floats there: where two grids show the same, a rounding may choose.
    assert other <= 5


@lawful
def test_every_tile_is_a_line_of_text():
    views = PAPER.views.plan((900, 900))
    assert [view.tag for view in views] == ["", *["\npatch:"] * 4]
    assert [view.unit for view in views] == [0, 1, 2, 3, 4]


@lawful
def test_lines_of_tiles_and_a_merged_map_have_other_counts():
    """A merged map leaves the padding out; its tiles, kept apart, hold it, and a thumbnail."""
    size = 448, 700
    lines = geometry(replace(PAPER, connector=MLP()), size)
    merged = replace(PAPER, connector=MLP(), views=FittedTiles(side=448, most=4, patch=14))
    assert lines.tokens_per_view == (1024,) * 3
    one = geometry(merged, size)
    assert len(one.views) == 1 and one.placeholders < 2 * 1024 < lines.placeholders


@lawful
def test_the_encoder_and_the_host_are_6_and_7_billion_parameters():
    model = on_meta(PAPER)
    assert 5.4e9 < count(model, "encoder") < 5.7e9
    assert 7.5e9 < count(model, "decoder", "head") < 7.7e9
