"""LFTR: time first, then space; nothing is lost."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import WIDTH, evidence, host
from torch.nn.functional import cosine_similarity

from chiasm.compression.methods.learning_free_reduction import (
    EQUAL,
    LearningFreeReduction,
    cell_table,
    fold,
    thin,
)

pytestmark = pytest.mark.evidence(slug="learning-free-reduction", grade="lawful")

FRAMES, ROWS, COLUMNS = 7, 3, 5
CELLS = ROWS * COLUMNS
CLIP = ((FRAMES, ROWS, COLUMNS),)


def step(keep, **settings):
    (one,) = LearningFreeReduction(keep=keep, **settings).reducers(host())
    return one


def moving(seed=0, still=0.3):
    """A clip whose cells change by steps, each after a while."""
    draw = torch.Generator().manual_seed(seed)
    frames = [torch.randn(CELLS, WIDTH, generator=draw)]
    for _ in range(FRAMES - 1):
        changes = torch.rand(CELLS, 1, generator=draw) > still
        noise = 0.02 * torch.randn(CELLS, WIDTH, generator=draw)
        new = torch.randn(CELLS, WIDTH, generator=draw)
        frames.append(torch.where(changes, new, frames[-1] + noise))
    return torch.cat(frames)


def fold_by_loop(values, threshold):
    """Cell by cell, with running means."""
    clip = values.view(FRAMES, CELLS, WIDTH)
    owner = torch.empty(FRAMES, CELLS, dtype=torch.long)
    for cell in range(CELLS):
        kept, mean, size = None, None, 0
        for frame in range(FRAMES):
            x = clip[frame, cell]
            if kept is not None and cosine_similarity(x, mean, dim=0) > threshold:
                mean, size = (mean * size + x) / (size + 1), size + 1
            else:
                kept, mean, size = frame * CELLS + cell, x, 1
            owner[frame, cell] = kept
    return owner.flatten()


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 0.5, 0.99, 1.1])
def test_the_temporal_stage_equals_the_loop(threshold):
    values = moving()
    table = cell_table(evidence(CLIP))
    found = fold(values, table, threshold)
    assert torch.equal(found, fold_by_loop(values, threshold))
    if threshold == -2:
        assert found.unique().tolist() == list(range(CELLS))
    if threshold > 1:
        assert torch.equal(found, torch.arange(FRAMES * CELLS))


def test_the_first_frame_is_always_kept():
    found = fold(moving(), cell_table(evidence(CLIP)), -2.0)
    assert set(range(CELLS)) <= set(found.tolist())


def test_cells_of_the_temporal_stage_know_nothing_of_each_other():
    values = moving()
    table = cell_table(evidence(CLIP))
    before = fold(values, table, 0.7).view(FRAMES, CELLS)
    edited = values.view(FRAMES, CELLS, WIDTH).clone()
    edited[:, 4] = torch.randn(FRAMES, WIDTH)
    after = fold(edited.view(-1, WIDTH), table, 0.7).view(FRAMES, CELLS)
    others = torch.arange(CELLS) != 4
    assert torch.equal(before[:, others], after[:, others])
    assert not torch.equal(before[:, 4], after[:, 4])


@pytest.mark.parametrize("keep", [0.16, 0.5, 0.99])
def test_a_static_clip_collapses_to_one_frame(keep):
    """And is then thinned out only as far as the budget asks."""
    given = evidence(CLIP)
    still = torch.randn(CELLS, WIDTH).repeat(FRAMES, 1)
    left = step(keep).reduce(replace(given, hidden=still))
    assert left.index.tolist() == list(range(CELLS))
    assert torch.allclose(left.hidden, still[:CELLS], atol=1e-5)
    fewer = step(0.05).reduce(replace(given, hidden=still))
    assert len(fewer.index) == int(0.05 * FRAMES * CELLS + 0.5)


def folded(values, threshold=-2.0, temporal=None):
    """What a given threshold leaves behind the temporal stage; all where none is given."""
    if threshold == -2.0:
        return range(len(values))
    return fold(values, cell_table(evidence(CLIP)), threshold).unique()


@pytest.mark.parametrize("keep", [1 / 16, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("settings", [{}, {"threshold": 0.8}, {"temporal": 0.9}])
def test_sizes_and_sums_are_conserved(keep, settings):
    """An axis of its own for each token shows the mean that it went into."""
    given = evidence(CLIP)
    total = FRAMES * CELLS
    marked = torch.cat([moving(), 1e-3 * torch.eye(total)], 1)
    left = step(keep, **settings).reduce(replace(given, hidden=marked))
    members = 1e3 * left.hidden[:, WIDTH:] > 1e-4
    assert (members.sum(0) == 1).all()
    sizes = members.sum(1)
    assert int(sizes.sum()) == total
    assert torch.allclose((left.hidden * sizes[:, None]).sum(0), marked.sum(0), atol=1e-3)
    for number, own, row in zip(left.index.tolist(), members, left.hidden, strict=True):
        assert own[number]
        assert torch.allclose(row, marked[own].mean(0), atol=1e-5)
    # A given threshold may fold more than the budget asks for.
    assert len(left.index) == min(int(keep * total + 0.5), len(folded(marked, **settings)))


def test_everything_is_identity():
    fate = step(0.5).fate
    given = replace(evidence(CLIP), hidden=moving())
    left = replace(fate, temporal=1.0).apply(given, torch.zeros(105), 105)
    assert left.index.tolist() == list(range(105))
    assert torch.equal(left.hidden, given.hidden)


def test_a_quarter_in_time_and_a_quarter_in_space_are_a_sixteenth():
    one = step(1 / 16)
    assert one.fate.temporal == pytest.approx(1 / 4)
    given = replace(evidence(((8, 6, 6),)), hidden=torch.randn(288, WIDTH))
    assert len(one.reduce(given).index) == 18


def test_a_picture_has_no_time():
    given = evidence(((1, 5, 7),))
    left = step(0.3).reduce(given)
    assert len(left.index) == 11
    owner = thin(given.hidden, given.unit, 11, 5)
    assert owner.unique().tolist() == left.index.tolist()


def thin_by_loop(values, count, neighbours):
    likeness = cosine_similarity(values[:, None], values[None], dim=-1)
    redundancy = []
    for n in range(len(values)):
        others = sorted((float(likeness[n, m]) for m in range(len(values)) if m != n), reverse=True)
        near = others[:neighbours]
        redundancy.append(sum(near) / len(near))
    kept = sorted(sorted(range(len(values)), key=lambda n: (redundancy[n], n))[:count])
    return [
        n if n in kept else max(kept, key=lambda k: float(likeness[n, k]))
        for n in range(len(values))
    ]


@pytest.mark.parametrize("count", [1, 4, 12])
def test_the_spatial_stage_equals_the_loop(count):
    values = torch.randn(13, WIDTH, generator=torch.Generator().manual_seed(count))
    found = thin(values, torch.zeros(13, dtype=torch.long), count, 5)
    assert found.tolist() == thin_by_loop(values, count, 5)


def test_frames_are_thinned_out_by_themselves():
    frame = torch.tensor([0] * 6 + [1] * 12)
    found = thin(torch.randn(18, WIDTH), frame, 9, 5)
    assert torch.equal(frame[found], frame)
    assert [int((frame[found.unique()] == one).sum()) for one in (0, 1)] == [3, 6]


def test_a_budget_below_the_number_of_frames_joins_across_them():
    found = thin(torch.randn(20, WIDTH), torch.arange(20) // 4, 2, 5)
    assert len(found.unique()) == 2


def test_equal_is_a_cosine_that_noise_does_not_reach():
    x = torch.randn(1000, 64)
    assert (cosine_similarity(x, x * 3, dim=-1) > EQUAL).all()
    assert (cosine_similarity(x, x + 0.05 * torch.randn(1000, 64), dim=-1) < EQUAL).all()
