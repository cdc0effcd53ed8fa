"""Views of every mode: planned from sizes alone, equal to what is produced from pixels."""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.pixtral import image_processing_pil_pixtral as pixtral
from transformers.models.smolvlm import image_processing_pil_smolvlm as smolvlm

from chiasm.compression import NoCompression
from chiasm.connectors import Linear, RowBreaks
from chiasm.data.pixels import Pixels
from chiasm.data.views import stack_views, view_pixels
from chiasm.encoders import RawPatches
from chiasm.fusion import InSequence
from chiasm.spec import (
    AnyResolution,
    EqualArea,
    FittedTiles,
    Fixed,
    GridTiles,
    NativeResolution,
    SharedBudget,
    Tags,
    Tiles,
    WholePatches,
    Windows,
    geometry,
)

PIXELS = Pixels(mean=(0.0,) * 3, std=(1.0,) * 3)
SIDE, PATCH = 8, 4
MODES = {
    "fixed": Fixed(8, 12),
    "native": NativeResolution(longest=24, shortest=4, multiple=4),
    "split": NativeResolution(longest=24, shortest=4, multiple=4, split=True),
    "equal area": EqualArea(side=16, multiple=4),
    "whole patches": WholePatches(patch=4, most=20),
    "nearest shape": Tiles(side=SIDE, most=4),
    "fitted": FittedTiles(side=SIDE, most=4, patch=4),
    "grid": GridTiles(side=SIDE, longest=24),
    "any resolution": AnyResolution(side=SIDE, grids=((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))),
    "windows": Windows(side=SIDE, rows=2, columns=3),
    "budget": SharedBudget(side=SIDE, most=9),
}


def ten(longest):
    """Ten sizes: a hundred examples are a thousand."""
    edge = st.integers(1, longest)
    return st.lists(st.tuples(edge, edge), min_size=10, max_size=10)


a_thousand = settings(max_examples=100, deadline=None, database=None, derandomize=True)


def beside(sizes, at):
    """The sizes of the other images of a sample."""
    return [*sizes[:at], *sizes[at + 1 :]]


@dataclass(frozen=True)
class Counted:
    """The answers that decide a count."""

    views: object
    encoder: object = RawPatches(patch=PATCH)
    connector: object = RowBreaks(each=Linear())
    compression: object = NoCompression()
    fusion: object = InSequence()


CONNECTOR = Counted(None).connector.build(3 * PATCH**2, 5)
ENCODER = Counted(None).encoder.build()


@pytest.mark.parametrize("mode", MODES)
@a_thousand
@given(sizes=ten(90))
def test_planned_tokens_are_produced(mode, sizes):
    """A token a patch and one a line of them, from pixels cut, resized and padded together; ten
    images are one sample.
    """
    plans = [geometry(Counted(MODES[mode]), s, beside(sizes, at)) for at, s in enumerate(sizes)]
    pixels = []
    for size, plan in zip(sizes, plans, strict=True):
        pixels += view_pixels(Image.new("RGB", size[::-1]), plan.views, PIXELS)
        assert [p.shape[1:] for p in pixels[-len(plan.views) :]] == [v.target for v in plan.views]
        assert plan.placeholders == sum(r * (c + 1) for r, c in plan.grids)
    with torch.inference_mode():
        tokens = CONNECTOR.connect(ENCODER(*stack_views(pixels)))
    real = torch.ones(tokens.embeddings.shape[:2], dtype=torch.bool)
    produced = (real if tokens.valid is None else tokens.valid).sum(1).tolist()
    assert produced == [count for plan in plans for count in plan.tokens_per_view]


def shape(size):
    """Only the shape is read: a broadcast view of one number costs nothing."""
    return np.broadcast_to(np.float32(0), (3, *size))


@a_thousand
@given(sizes=ten(3000))
def test_capped_native_sizes_are_pixtrals(sizes):
    views = NativeResolution(longest=1024, shortest=1, multiple=16)
    for size in sizes:
        (view,) = views.plan(size)
        theirs = pixtral.get_resize_output_image_size(shape(size), 1024, 16, "channels_first")
        # An edge that theirs rounds to nothing is one patch here.
        assert view.target == tuple(max(16, edge) for edge in theirs)


class _Sized(smolvlm.SmolVLMImageProcessorPil):
    """Theirs, resizing shapes alone."""

    def resize(self, image, size, resample=None, **kwargs):
        return shape((size.height, size.width))


@a_thousand
@given(sizes=ten(3000))
def test_tiles_of_the_longest_edge_are_smolvlms(sizes):
    theirs = _Sized(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512})
    views = GridTiles(side=512, longest=2048, tags=Tags(tile="{row} {column}", whole="whole"))
    for size in sizes:
        image = shape(smolvlm.get_resize_output_image_size(shape(size), 2048))
        image = theirs.resize_for_vision_encoder(image, 512)
        frames, rows, columns = theirs.split_images(image, {"longest_edge": 512})
        plan = views.plan(size)
        assert len(plan) == len(frames) and plan[-1].tag == "whole"
        told = [f"{r} {c}" for r in range(1, rows + 1) for c in range(1, columns + 1)]
        assert [view.tag for view in plan[:-1]] == told


LEOPARD = SharedBudget(side=364, most=50)


def asked(size):
    return round(size[0] / 364) * round(size[1] / 364)


@a_thousand
@given(sizes=ten(3000))
def test_a_budget_holds_over_a_sample(sizes):
    """At most 50 views, whatever the images ask for, in any order; shares as the code has them."""
    counts = [len(LEOPARD.plan(s, beside(sizes, at))) for at, s in enumerate(sizes)]
    assert sum(counts) <= 50 and min(counts) >= 1
    total, budget = sum(map(asked, sizes)), 50 - len(sizes)
    for at, size in enumerate(sizes):
        share = LEOPARD.share(size, beside(sizes, at))
        assert share == LEOPARD.share(size, beside(sizes, at)[::-1])
        assert share == (asked(size) if total <= budget else budget * asked(size) // total)


@pytest.mark.parametrize("images", [1, 2, 7, 49, 50, 60])
def test_equal_images_get_equal_shares(images):
    counts = {len(LEOPARD.plan((900, 1200), [(900, 1200)] * (images - 1)))}
    assert len(counts) == 1 and images * counts.pop() <= max(50, images)


def reassembled(image, views, grid, side):
    """Tiles laid side by side again."""
    tiles = view_pixels(image, views, replace(PIXELS, fit="native"))
    lines = [torch.cat(tiles[r * grid[1] : (r + 1) * grid[1]], 2) for r in range(grid[0])]
    assert all(tile.shape == (3, side, side) for tile in tiles)
    return torch.cat(lines, 1)


@pytest.mark.parametrize("size", [(16, 16), (8, 24), (13, 16), (24, 5), (16, 11)])
def test_tiles_lie_side_by_side_as_the_padded_image(size):
    """Images that no tile resizes: bit for bit, black around them."""
    pixels = torch.randint(1, 256, (*size, 3), generator=torch.Generator().manual_seed(1))
    image = Image.fromarray(pixels.byte().numpy())
    views = AnyResolution(side=8, grids=((2, 2), (1, 3), (3, 1))).plan(size)
    grid = next(g for g in ((2, 2), (1, 3), (3, 1)) if g[0] * 8 >= size[0] and g[1] * 8 >= size[1])
    assert len(views) == 1 + grid[0] * grid[1] and views[0].kind == "global"
    frame = torch.zeros(3, grid[0] * 8, grid[1] * 8)
    top, left = (grid[0] * 8 - size[0]) // 2, (grid[1] * 8 - size[1]) // 2
    frame[:, top : top + size[0], left : left + size[1]] = pixels.permute(2, 0, 1) / 255
    assert torch.equal(reassembled(image, views[1:], grid, 8), frame)


def test_tags_stand_where_they_are_said():
    tags = Tags(open="<", tile="{row},{column}", line="|", whole="all", close=">")
    views = GridTiles(side=8, longest=16, tags=tags).plan((8, 8))
    assert [view.tag for view in views] == ["<1,1", "1,2", "2,1", "2,2", "all"]
    assert [view.close for view in views] == ["", "|", "", "|", ">"]
    assert [view.unit for view in views] == [0, 1, 2, 3, 4]
    (alone,) = GridTiles(side=8, longest=8, tags=tags).plan((5, 8))
    assert (alone.tag, alone.close) == ("<all", ">")


@pytest.mark.parametrize("mode", MODES)
def test_an_image_without_pixels_is_refused(mode):
    with pytest.raises(ValueError, match="0 x 5"):
        MODES[mode].plan((0, 5))


def test_windows_and_grids_by_hand():
    assert len(Windows(side=448, rows=2, columns=2).plan((333, 1000))) == 5
    assert len(GridTiles(side=512, longest=2048).plan((480, 640))) == 3 * 4 + 1
    assert len(GridTiles(side=512, longest=2048).plan((900, 900))) == 17
    assert ceil(2048 * 480 / 640 / 512) == 3
    assert len(SharedBudget(side=364, most=50).plan((364, 364))) == 1
    assert len(SharedBudget(side=364, most=50).plan((728, 364))) == 3
