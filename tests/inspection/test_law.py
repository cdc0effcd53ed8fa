"""Law of vision representation (129): alignment, correspondence, and the form that joins them."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.inspection.alignment import alignment, nearest, picture_tokens
from chiasm.inspection.correspondence import (
    at_points,
    correspondence,
    found_at,
    joined,
    keypoints,
    lattice,
    matches,
)
from chiasm.inspection.law import EXPONENTS, fit_law, leave_one_out, ranking
from chiasm.inspection.ranks import bootstrap, pearson, ranks, spearman

lawful = pytest.mark.evidence(slug="law-of-vision", grade="lawful")


def tokens(seed: int, count: int = 7) -> torch.Tensor:
    return torch.randn(3, count, 11, generator=torch.Generator().manual_seed(seed))


@lawful
def test_a_reference_is_wholly_aligned_with_itself():
    own = tokens(0)
    assert alignment(own, [own]) == pytest.approx(1)
    assert alignment(tokens(1), [own]) < 0.9
    both = alignment(own, [own, tokens(1)])
    assert both == pytest.approx((1 + float(nearest(own, tokens(1)).mean())) / 2)


@lawful
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9), st.floats(0.1, 50))
def test_order_and_scale_of_tokens_change_nothing(seed, own, other, scale):
    one, reference = tokens(seed, own), tokens(seed + 1, other)
    draw = torch.Generator().manual_seed(seed)
    mixed = scale * one[:, torch.randperm(own, generator=draw)]
    turned = reference[:, torch.randperm(other, generator=draw)] / scale
    assert alignment(mixed, [turned]) == pytest.approx(alignment(one, [reference]), abs=1e-5)


@lawful
def test_alignment_is_the_mean_of_the_largest_cosines():
    one, reference = tokens(4, 2)[:1], tokens(5, 3)[:1]
    slow = [max(float(torch.cosine_similarity(a, b, dim=0)) for b in reference[0]) for a in one[0]]
    assert alignment(one, [reference]) == pytest.approx(sum(slow) / 2, abs=1e-6)
    with pytest.raises(Misuse, match="same pictures"):
        nearest(one, tokens(5)[:, :, :5])
    with pytest.raises(Misuse, match="reference"):
        alignment(one, [])


def truth(scenes):
    """A map that says at every pixel what stands there, and where on the thing: a perfect one."""
    found = torch.zeros(len(scenes), 26, 64, 64)
    names = ("circle", "square", "triangle", "cross")
    colors = ("red", "green", "blue", "yellow", "purple", "gray")
    ys, xs = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for at, scene in enumerate(scenes):
        far = torch.full((64, 64), float("inf"))
        for thing in scene.things:
            half = {"small": 5, "large": 9}[thing.size]
            dx, dy = (xs - thing.x) / half, (ys - thing.y) / half
            near = torch.maximum(dx.abs(), dy.abs())
            inside = (near <= 1.2) & (near < far)
            code = torch.zeros(24)
            code[names.index(thing.shape) * 6 + colors.index(thing.color)] = 3
            found[at, :24, inside] = code.unsqueeze(1)
            found[at, 24, inside], found[at, 25, inside] = dx[inside], dy[inside]
            far = torch.where(inside, near, far)
    return found


@lawful
def test_correspondence_needs_raw_features_alone_and_knows_good_from_none():
    pairs = matches(12, seed=3)
    assert correspondence(truth, pairs) > 0.9
    draw = torch.Generator().manual_seed(2)
    noise = correspondence(lambda scenes: torch.randn(len(scenes), 9, 8, 8, generator=draw), pairs)
    area = 3.15 * 0.1**2  # what a place at random finds, less at the edges
    assert noise < 5 * area < 0.2
    assert matches(12, seed=3) == pairs != matches(12, seed=4)
    assert all(0 <= v <= 1 for pair in pairs for both in pair.points for p in both for v in p)


@lawful
def test_a_point_is_found_where_the_features_are_the_same():
    draw = torch.Generator().manual_seed(9)
    maps = torch.randn(16, 32, 32, generator=draw)
    places = [lattice()[Random(1).randrange(1024)] for _ in range(5)]
    assert found_at(maps, maps, places) == places
    moved = maps.roll((0, 3), (1, 2))
    inside = [(x, y) for x, y in places if x < 28 / 32]
    for (x, y), (fx, fy) in zip(inside, found_at(maps, moved, inside), strict=True):
        assert (fx, fy) == pytest.approx((x + 3 / 32, y))


def test_features_are_read_between_the_centres_of_tokens():
    ramp = torch.arange(4.0).expand(1, 4, 4)
    read = at_points(ramp, [(0.125, 0.5), (0.25, 0.5), (0.5, 0.1), (0.0, 0.0), (1.0, 1.0)])
    torch.testing.assert_close(read[:, 0], torch.tensor([0.0, 0.5, 1.5, 0.0, 3.0]))
    both = joined([torch.ones(2, 3, 2, 2), torch.ones(2, 5, 4, 4)])
    assert both.shape == (2, 8, 4, 4)
    torch.testing.assert_close(both.square().sum(1), torch.full((2, 4, 4), 2.0))


def test_keypoints_are_on_their_thing():
    for pair in matches(5):
        for thing in pair.source.things:
            assert len(keypoints(thing)) == 5


SETTINGS = [(0.1 * i, 0.9 - 0.13 * ((i * 5) % 7)) for i in range(9)]
A, C = [a for a, _ in SETTINGS], [c for _, c in SETTINGS]


@lawful
def test_six_weights_are_found_again_and_predict_what_was_left_out():
    weights = (0.2, 0.5, -0.3, 0.7, -0.4, 0.1)
    scores = [
        sum(w * a**i * c**j for w, (i, j) in zip(weights, EXPONENTS, strict=True))
        for a, c in SETTINGS
    ]
    law = fit_law(A, C, scores)
    torch.testing.assert_close(law.weights, torch.tensor(weights).double(), atol=1e-6, rtol=0)
    assert leave_one_out(A, C, scores) == pytest.approx(scores, abs=1e-6)
    assert ranking(A, C, scores, "AC", 0.0).spearman == pytest.approx(1)


@lawful
def test_fewer_settings_than_weights_need_a_ridge():
    with pytest.raises(Misuse, match="6 weights"):
        fit_law(A[:5], C[:5], [0.1] * 5)
    held = fit_law(A[:5], C[:5], [0.1, 0.2, 0.3, 0.2, 0.1], ridge=1e-3)
    assert all(-1 < one < 1 for one in held(A, C))
    flat = fit_law(A, C, [float(i) for i in range(9)], ridge=1e9)
    assert flat(A, C) == pytest.approx([4.0] * 9, abs=1e-6)


def test_correlations_are_those_of_ranks_and_of_values():
    x, y = [1.0, 2.0, 4.0, 3.0], [1.0, 4.0, 100.0, 9.0]
    assert spearman(x, y) == pytest.approx(1) and pearson(x, y) < 0.95
    assert ranks([5.0, 1.0, 5.0]).tolist() == [2.5, 1.0, 2.5]
    assert pearson([1, 1], [1, 2]) == 0
    low, high = bootstrap(pearson, list(range(20)), [v + (v % 3) for v in range(20)], draws=200)
    assert 0.9 < low < high <= 1
    noise = Random(4)
    low, high = bootstrap(spearman, list(range(20)), [noise.random() for _ in range(20)], draws=200)
    assert low < 0 < high
    with pytest.raises(Misuse, match="pairs"):
        pearson([1.0], [2.0])


@pytest.mark.evidence(slug="law-of-vision", grade="builds")
def test_a_models_picture_tokens_are_what_the_decoder_is_given(subjects):
    subject = subjects("llava-1.5")
    found = picture_tokens(subject)
    inputs = next(subject.batches(100)).inputs
    with torch.no_grad():
        tokens = subject.model.media(inputs).entering
    torch.testing.assert_close(found, tokens)
    assert alignment(found, [found]) == pytest.approx(1)
    with pytest.raises(Misuse, match="one connector"):
        picture_tokens(subjects("saisa"))
