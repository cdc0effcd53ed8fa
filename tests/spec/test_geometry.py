"""Token counts from sizes, against transformers' own resizing where a processor has one."""

import math
import random
from dataclasses import dataclass

import numpy as np
import pytest
from transformers.image_utils import SizeDict
from transformers.models.idefics2 import image_processing_pil_idefics2 as theirs

from chiasm.compression import NoCompression, QueryCompression
from chiasm.connectors import MLP, PerceiverResampler
from chiasm.encoders import VisionTransformer
from chiasm.fusion import InSequence, NoFusion, PreFusion
from chiasm.spec import EqualArea, FittedTiles, Fixed, NativeResolution, NoViews, geometry

VIT = VisionTransformer(patch=8, width=16, depth=1, heads=2, ff_width=16)
EDGES = SizeDict(shortest_edge=378, longest_edge=980)


@dataclass(frozen=True)
class Counted:
    """The answers that decide a count."""

    views: object
    encoder: object = VIT
    connector: object = MLP()
    compression: object = NoCompression()
    fusion: object = InSequence()


def sizes(count: int) -> list[tuple[int, int]]:
    drawn = random.Random(7)
    return [(drawn.randint(1, 2500), drawn.randint(1, 2500)) for _ in range(count)]


def test_native_resolution_is_transformers_own_on_1000_sizes():
    views = NativeResolution(longest=980, shortest=378)
    for height, width in sizes(1000):
        (view,) = views.plan((height, width))
        # Only the shape is read: a broadcast view of one number costs nothing.
        image = np.broadcast_to(np.float32(0), (3, height, width))
        assert view.target == tuple(theirs.get_resize_output_image_size(image, EDGES))


def test_splitting_is_transformers_own():
    """Crops, their order and their sizes; an odd pixel goes to the second half."""
    views = NativeResolution(longest=980, shortest=378, split=True)
    processor = theirs.Idefics2ImageProcessorPil()
    for height, width in [*sizes(100), (2001, 1999), (3, 7)]:
        image = np.broadcast_to(np.float32(0), (3, height, width))
        crops = processor.split_images(image)
        plan = views.plan((height, width))
        assert [view.target for view in plan] == [
            tuple(theirs.get_resize_output_image_size(crop, EDGES)) for crop in crops
        ]
        for view, crop in zip(plan, crops, strict=True):
            top, left, bottom, right = view.box
            assert crop.shape[1] == int(bottom * height) - int(top * height)
            assert crop.shape[2] == int(right * width) - int(left * width)


def test_no_edge_of_a_native_image_leaves_its_bounds():
    for size in sizes(300):
        (view,) = NativeResolution(longest=980, shortest=378).plan(size)
        assert 378 <= min(view.target) <= max(view.target) <= 980


def test_fixed_squashes_everything_to_one_size():
    (view,) = Fixed(24, 40).plan((1000, 3))
    assert view.target == (24, 40)
    assert view.box == (0.0, 0.0, 1.0, 1.0)


def test_nothing_is_looked_at_without_views():
    plan = geometry(Counted(NoViews(), fusion=NoFusion()), (480, 640))
    assert (plan.views, plan.tokens, plan.kept, plan.placeholders) == ((), 0, 0, 0)


@pytest.mark.parametrize("views", [Fixed(24, 40), NativeResolution(longest=40, shortest=16)])
@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_empty_image_is_refused_with_its_size(views, size):
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]}"):
        views.plan(size)


def test_counts_by_hand():
    """24 x 40 pixels in patches of 8: 3 x 5 tokens, all of them rows."""
    plan = geometry(Counted(Fixed(24, 40)), (480, 640))
    assert plan.grids == ((3, 5),)
    assert (plan.tokens_per_view, plan.kept, plan.placeholders) == ((15,), 15, 15)


def test_a_part_of_a_patch_is_a_token():
    assert geometry(Counted(Fixed(25, 41)), (9, 9)).grids == ((4, 6),)


def test_a_resampler_fixes_the_count():
    resampler = PerceiverResampler(latents=5, depth=1, heads=1, head_width=4)
    views = NativeResolution(longest=40, shortest=16, split=True)
    assert geometry(Counted(views, connector=resampler), (33, 31)).tokens_per_view == (5,) * 5


def test_compression_and_fusion_decide_the_rows():
    kept = QueryCompression(side=2, heads=1)
    plan = geometry(Counted(Fixed(24, 40), compression=kept, fusion=PreFusion(layers=1)), (9, 9))
    assert (plan.tokens, plan.kept, plan.placeholders) == (15, 4, 4)


def test_equal_area_keeps_aspect_and_rounds_up():
    """EVEv2: sides scaled to an area of S x S, each rounded up to a multiple of 32."""
    views = EqualArea(side=1600, multiple=32)
    assert views.plan((100, 100))[0].target == (1600, 1600)
    for height, width in sizes(300):
        (view,) = views.plan((height, width))
        scale = 1600 / (height * width) ** 0.5
        assert view.target == (
            32 * math.ceil(height * scale / 32 - 1e-9),
            32 * math.ceil(width * scale / 32 - 1e-9),
        )


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((672, 672), (672, 672)),
        ((336, 1008), (336, 1008)),
        ((480, 640), (504, 672)),
        ((100, 100), (336, 336)),
        ((1344, 672), (1008, 504)),
        ((1, 5000), (14, 2016)),
    ],
)
def test_fitted_tiles_hold_the_image_at_its_aspect(size, target):
    (view,) = FittedTiles(side=336, most=6, patch=14).plan(size)
    assert view.target == target and view.box == (0.0, 0.0, 1.0, 1.0)
