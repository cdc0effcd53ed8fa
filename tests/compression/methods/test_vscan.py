"""VScan: local and global picks, merge counts, the two stages' arithmetic."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host, run
from torch.nn.functional import normalize

from chiasm.catalogue.headlines_compression import VSCAN
from chiasm.compression.alive import counted
from chiasm.compression.looks import ClassAttention, ReceivedAttention
from chiasm.compression.methods.vscan import VScan, WindowsThenMerge, rank_within, windows_of
from chiasm.compression.scorers import Attended

pytestmark = pytest.mark.evidence(slug="vscan", grade="lawful")

LLAVA = host(depth=32, blocks=24, class_token=True)
QWEN = host(depth=28, blocks=32, class_token=False)
PAPER = VScan(keep=1 / 9)  # 64 of 576


def stage_one(keep=1 / 9, grid=(24, 24), shape=LLAVA):
    first = VScan(keep=keep).reducers(shape)[0]
    return first, evidence(((1, *grid),), first.needs)


def test_ninety_six_then_thirty_two_of_576():
    first, second = PAPER.reducers(LLAVA)
    assert first.budget.count(torch.zeros(576)) == 96
    assert second.site.layer == 16
    assert second.budget.count(torch.zeros(96)) == 32
    found = counted(PAPER.reducers(LLAVA), ((576,) * 5,), 32)
    assert found.alive == VSCAN
    assert found.keep * 576 == 64 == (96 * 16 + 32 * 16) / 32
    assert isinstance(second.scorer, Attended) and second.scorer.back == 0


def test_blocks_are_the_paper_s():
    first, _ = PAPER.reducers(LLAVA)
    assert first.needs == (ClassAttention(block=22), ClassAttention(block=5))
    assert first.fate.window == 6
    first, second = VScan(keep=1 / 9).reducers(QWEN)
    assert first.needs == (ReceivedAttention(block=31), ReceivedAttention(block=7))
    assert first.fate.window == 4
    assert second.site.layer == 14


@pytest.mark.parametrize("kept", [32, 96, 160, 192])
def test_every_window_holds_a_thirty_second_of_the_budget(kept):
    first, given = stage_one()
    local = first.fate.picks(given, kept)
    windows = windows_of(given.place, 6)
    counts = torch.bincount(torch.unique(windows, return_inverse=True)[1][local], minlength=16)
    assert counts.tolist() == [kept // 32] * 16
    # and these are the best of theirs
    seen = given.seen[first.fate.local]
    for window in windows.unique():
        inside = windows == window
        worst = seen[inside & local].min()
        assert int((seen[inside] >= worst).sum()) == kept // 32


def test_the_other_half_are_the_best_of_all_that_is_left():
    first, given = stage_one()
    scores = first.scorer.score(given)
    left = first.reduce(given)
    local = first.fate.picks(given, 96)
    others = torch.zeros(576, dtype=torch.bool)
    others[left.index] = True
    others &= ~local
    assert int(others.sum()) == 48
    assert scores[others].min() >= scores[~others & ~local].max()


def test_merge_counts_sum_to_the_tokens():
    """Identity features show how many tokens are in each mean, all of equal weight."""
    first, given = stage_one(grid=(7, 11), keep=0.2)
    shown = torch.eye(77) + 0.05 * torch.rand(77, 77, generator=torch.manual_seed(1))
    left = first.reduce(replace(given, hidden=shown))
    # each token's unit vector is found in exactly one mean
    owner = torch.linalg.lstsq(shown.T, left.hidden.T).solution.T
    sizes = (owner > 1e-3).sum(1)
    assert int(sizes.sum()) == 77
    assert torch.allclose(owner.sum(1), torch.ones(len(owner)), atol=1e-3)
    assert torch.allclose(owner.max(1).values, 1 / sizes, atol=1e-3)


def test_members_join_the_most_alike():
    first, given = stage_one(grid=(7, 11), keep=0.2)
    left = first.reduce(given)
    turned = normalize(given.hidden, dim=-1)
    expected = [[int(k)] for k in left.index]
    for token in range(77):
        if token not in left.index.tolist():
            expected[int((turned[left.index] @ turned[token]).argmax())].append(token)
    means = torch.stack([given.hidden[torch.tensor(members)].mean(0) for members in expected])
    assert torch.allclose(left.hidden, means, atol=1e-6)


def test_nothing_merges_in_the_second_stage():
    second = PAPER.reducers(LLAVA)[1]
    given = evidence(((2, 7, 11),), second.needs)
    left = second.reduce(given)
    scores = given.seen[second.scorer.look][:, -1].mean(0)[given.row]
    assert left.hidden is None
    assert left.index.tolist() == sorted(scores.topk(len(left.index)).indices.tolist())


@pytest.mark.parametrize("keep", [0.05, 1 / 3, 0.6, 2 / 3, 0.7, 0.95])
@pytest.mark.parametrize("depth", [2, 3, 28, 32])
def test_the_shares_solve_the_budget(keep, depth):
    layer = host(depth=depth).layer(16, of=32)
    first, second = VScan(keep=keep).shares(layer, depth)
    assert 0 < first <= 1 and 0 < second <= 1
    assert (layer * first + (depth - layer) * first * second) / depth == pytest.approx(keep)


def test_a_little_grid_has_one_window():
    left = [one for _, _, one in run(VScan(keep=0.5).reducers(LLAVA), ((2, 3, 5),))]
    assert [len(one.index) for one in left] == [11, 11, 7]


def test_ranks_are_counted_within_groups():
    scores = torch.tensor([1.0, 3.0, 2.0, 3.0, 0.0, 5.0])
    groups = torch.tensor([7, 2, 7, 2, 2, 7])
    assert rank_within(scores, groups).tolist() == [2, 0, 1, 1, 2, 0]


def test_tokens_without_a_place_are_no_local_picks():
    fate = WindowsThenMerge(local=ClassAttention(block=5), window=2)
    given = evidence(((1, 4, 4),), fate.needs)
    place = given.place.clone()
    place[5] = -1
    seen = {look: value.clone() for look, value in given.seen.items()}
    seen[fate.local][5] = 100.0
    given = replace(given, place=place, seen=seen)
    assert not fate.picks(given, 8)[5]
    assert int(fate.picks(given, 8).sum()) == 4
