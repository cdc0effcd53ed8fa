"""Windows on a grid, and fewer operations on what stands there."""

import pytest
import torch

from chiasm.compression.heads import active_heads, threshold_for, visual_ratio, without_visual
from chiasm.compression.neighbours import neighbour_pairs, neighbours
from chiasm.compression.operations import VisualOperations, first_heads
from chiasm.errors import Misuse

YOPO = pytest.mark.evidence(slug="yopo", grade="lawful")


def places(rows, columns):
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


@YOPO
@pytest.mark.parametrize(
    ("window", "pairs"), [(3, 4_900), (5, 12_996), (7, 24_336), (47, 576 * 576), (1, 576)]
)
def test_window_counts_of_the_paper(window, pairs):
    """On 24 x 24; causal order has 166,176 pairs, and 47 sees everything in both directions."""
    assert int(neighbours(places(24, 24), window).sum()) == pairs
    assert neighbour_pairs(24, 24, window) == pairs
    assert 576 * 577 // 2 == 166_176


@YOPO
@pytest.mark.parametrize(("rows", "columns", "window"), [(5, 7, 3), (2, 11, 5), (1, 3, 7)])
def test_the_window_is_chebyshevs(rows, columns, window):
    seen, place = neighbours(places(rows, columns), window), places(rows, columns).tolist()
    for i, (y, x) in enumerate(place):
        for j, (v, u) in enumerate(place):
            assert bool(seen[i, j]) == (max(abs(y - v), abs(x - u)) <= window // 2)
    assert torch.equal(seen, seen.T) and int(seen.sum()) == neighbour_pairs(rows, columns, window)


def test_rows_without_a_place_see_themselves():
    place = torch.tensor([[0, 0], [-1, -1], [0, 1], [-1, -1]])
    seen = neighbours(place, 3)
    assert seen.tolist() == [
        [True, False, True, False],
        [False, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]


@YOPO
def test_inactive_heads_lose_visual_weight_and_nothing_is_made_good():
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(2, 3, 5, 7, generator=generator).softmax(-1)
    visual = torch.tensor([[0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0]]).bool()
    active = torch.tensor([True, False, True])
    got = without_visual(weights, visual, active)
    for sample in range(2):
        for head in range(3):
            for row in range(7):
                gone = bool(visual[sample, row]) and not bool(active[head])
                expected = torch.zeros(5) if gone else weights[sample, head, :, row]
                assert torch.equal(got[sample, head, :, row], expected)
    assert bool((got[:, 1].sum(-1) < 1 - 1e-3).all())


@YOPO
def test_heads_are_active_that_look_at_pictures_often_enough():
    """More than 40 of 100 samples above the threshold; layers 0 and 1 are whole."""
    ratios = torch.zeros(100, 4, 3)
    ratios[:40, 2, 0] = 0.1
    ratios[:41, 2, 1] = 0.1
    ratios[:41, 3, 2] = 0.077
    chosen = active_heads(ratios, 0.077)
    assert chosen == ((True,) * 3, (True,) * 3, (False, True, False), (False,) * 3)


@YOPO
def test_the_ratio_is_mass_over_mass():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    visual = torch.tensor([False, True, True, False])
    assert visual_ratio(weights, visual).tolist() == pytest.approx([1.0, 1.0])
    visual = torch.tensor([True, False, False, False])
    assert visual_ratio(weights, visual).tolist() == pytest.approx([1 / 9, 1 / 3])


def test_a_threshold_is_found_for_a_number_of_heads():
    ratios = torch.rand(20, 5, 11, generator=torch.Generator().manual_seed(3))
    for mean in (1, 5.5, 9, 11):
        threshold = threshold_for(ratios, mean, whole=0)
        held = active_heads(ratios, threshold, whole=0)
        assert sum(map(sum, held)) / 5 >= mean
        next_one = float(ratios[ratios > threshold].min())
        fewer = active_heads(ratios, next_one, whole=0)
        assert sum(map(sum, fewer)) / 5 < mean
    with pytest.raises(Misuse, match="12 heads are to be active, a layer has 11"):
        threshold_for(ratios, 12)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(window=4), "a window of 4 tokens has no middle"),
        (dict(split=0), "cannot be split in 0"),
        (dict(stop=0), "stop before layer 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, said):
    with pytest.raises(Misuse, match=said):
        VisualOperations(**settings)


def test_a_decoder_of_another_shape_is_refused():
    with pytest.raises(Misuse, match="3 layers of 5 heads are masked, the decoder has 4 of 5"):
        VisualOperations(heads=first_heads(3, 5, 2)).check(4, 5)
    with pytest.raises(Misuse, match="cannot stop at layer 5 of 4"):
        VisualOperations(stop=5).check(4, 5)
    VisualOperations(stop=4, heads=first_heads(4, 5, 2)).check(4, 5)
