"""k-means++ by content."""

import pytest
import torch
from torch.nn.functional import normalize

from chiasm.compression.clustering import clusters

pytestmark = pytest.mark.evidence(slug="token-sequence-compression", grade="lawful")


def points(count=29, width=7, seed=0):
    return normalize(
        torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def as_sets(found):
    return {frozenset((found == number).nonzero().flatten().tolist()) for number in found.unique()}


@pytest.mark.parametrize("count", [1, 2, 5, 13, 28])
def test_a_permutation_gives_the_same_clusters(count):
    x = points()
    found = clusters(x, count, rounds=10, seed=0)
    assert len(found.unique()) == count
    for seed in range(3):
        order = torch.randperm(29, generator=torch.Generator().manual_seed(seed))
        again = torch.empty_like(found)
        again[order] = clusters(x[order], count, rounds=10, seed=0)
        assert torch.equal(again, found)


def test_as_many_clusters_as_points_are_the_points():
    found = clusters(points(), 29, rounds=10, seed=0)
    assert sorted(found.tolist()) == list(range(29))


@pytest.mark.parametrize("count", [3, 7, 13, 20])
def test_equal_points_always_share_a_cluster(count):
    x = points(13)
    kinds = torch.arange(39) % 13
    found = clusters(x[kinds], count, rounds=10, seed=0)
    for kind in range(13):
        assert len(found[kinds == kind].unique()) == 1
    assert len(found.unique()) == min(count, 13)


def test_every_point_is_nearest_to_the_mean_of_its_own_cluster():
    """Lloyd's steps have come to rest."""
    x = points(53, 3, seed=2)
    found = clusters(x, 5, rounds=100, seed=0)
    means = torch.stack([x[found == number].mean(0) for number in range(5)])
    assert torch.equal(torch.cdist(x, means).argmin(1), found)


def test_steps_lower_the_spread():
    x = points(53, 3, seed=2)

    def spread(rounds):
        found = clusters(x, 5, rounds=rounds, seed=0)
        return sum(float((x[found == n] - x[found == n].mean(0)).square().sum()) for n in range(5))

    assert spread(100) < spread(0)


def test_far_groups_are_found():
    """k-means++ begins in all of them, whatever the seed."""
    groups = torch.arange(40) % 4
    x = 100 * torch.eye(4)[groups] + torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    for seed in range(10):
        assert as_sets(clusters(x, 4, rounds=10, seed=seed)) == as_sets(groups)


def test_no_cluster_is_empty():
    for seed in range(30):
        x = torch.randint(0, 3, (40, 2), generator=torch.Generator().manual_seed(seed)).float()
        kinds = len(x.unique(dim=0))
        for count in range(1, 12):
            found = clusters(x, count, rounds=3, seed=seed)
            assert sorted(found.unique().tolist()) == list(range(min(count, kinds)))


def test_seeds_differ():
    x = points(53, 3)
    assert len({frozenset(as_sets(clusters(x, 9, rounds=2, seed=s))) for s in range(5)}) > 1
