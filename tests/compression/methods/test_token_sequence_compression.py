"""Cluster & Aggregate: means of clusters, before the projector where it can be."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host

from chiasm.compression.evidence import Encoded
from chiasm.compression.methods.token_sequence_compression import (
    TokenSequenceCompression,
    middle_members,
)
from chiasm.compression.reducer import Scope

pytestmark = pytest.mark.evidence(slug="token-sequence-compression", grade="lawful")

ITEM = ((1, 5, 7),)


def step(keep=0.3):
    (one,) = TokenSequenceCompression(keep=keep).reducers(host())
    return one


def test_it_is_before_the_projector_where_the_host_gives_features():
    one = step()
    assert one.needs == (Encoded(),)
    assert one.scope is Scope.UNIT
    left = one.reduce(evidence(ITEM, one.needs))
    assert left.hidden is None and left.encoded.shape == (11, 11)
    behind = one.reduce(evidence(ITEM))
    assert behind.encoded is None and behind.hidden.shape == (11, 13)


def test_each_token_is_the_plain_mean_of_a_cluster_of_unit_features():
    one = step()
    given = evidence(ITEM, one.needs)
    # an own axis for each token behind small common features tells who is in which mean
    marked = torch.cat([given.seen[Encoded()], 1e-3 * torch.eye(35)], 1)
    left = one.reduce(replace(given, seen={Encoded(): marked}))
    shares = 1e3 * left.encoded[:, 11:]
    members = shares > 1e-4
    assert (members.sum(0) == 1).all()
    counts = members.sum(1)
    assert int(counts.sum()) == 35
    for row, own in zip(left.encoded, members, strict=True):
        assert torch.allclose(row, marked[own].mean(0), atol=1e-6)
    total = (left.encoded * counts[:, None]).sum(0) / 35
    assert torch.allclose(total, marked.mean(0), atol=1e-6)
    for number, own in zip(left.index.tolist(), members, strict=True):
        assert own[number]


def test_sizes_follow_the_length_of_no_feature():
    """Clusters are of directions: scaling every token by its own factor moves none."""
    one = step()
    given = evidence(ITEM, one.needs)
    plain = one.reduce(given)
    # Powers of two leave a direction's digits as they are.
    scale = 2.0 ** torch.randint(-3, 4, (35, 1))
    scaled = one.reduce(replace(given, seen={Encoded(): given.seen[Encoded()] * scale}))
    assert torch.equal(plain.index, scaled.index)
    assert not torch.allclose(plain.encoded, scaled.encoded)


def test_a_permutation_of_the_patches_gives_the_same_set():
    one = step()
    given = evidence(ITEM, one.needs)
    order = torch.randperm(35, generator=torch.Generator().manual_seed(3))
    mixed = replace(given, seen={Encoded(): given.seen[Encoded()][order]})

    def rows(left):
        return torch.tensor(sorted(left.encoded.tolist()))

    assert torch.allclose(rows(one.reduce(given)), rows(one.reduce(mixed)), atol=1e-6)


def test_all_tokens_are_the_input():
    fate = step().fate
    given = evidence(ITEM, fate.needs)
    left = fate.apply(given, torch.zeros(35), 35)
    assert left.index.tolist() == list(range(35))
    assert torch.equal(left.encoded, given.seen[Encoded()])


def test_double_patches_always_merge():
    one = step(keep=0.6)
    given = evidence(ITEM, one.needs)
    features = given.seen[Encoded()][torch.arange(35) % 17]
    left = one.reduce(replace(given, seen={Encoded(): features}))
    # 21 are asked for, 17 differ
    assert len(left.index) == 17
    assert len(left.encoded.unique(dim=0)) == 17


def test_a_cluster_stands_at_its_middle_member():
    #                        0  1  2  3  4  5  6
    found = torch.tensor([0, 1, 0, 1, 0, 2, 1])
    # cluster 0: 0, 2, 4, mean 2; cluster 1: 1, 3, 6, mean 10/3; cluster 2: 5
    assert middle_members(found).tolist() == [2, 3, 5]
    assert middle_members(torch.tensor([0, 0, 1, 1])).tolist() == [0, 2]


def test_clustering_costs_little_beside_the_prefill():
    """2 N K d a step: 0.8 GFLOPs at 576 patches, 64 clusters, ten steps and width 1024."""
    fate = step().fate
    assert pytest.approx(0.75, abs=0.01) == 2 * 10 * 576 * 64 * 1024 / 1e9
    assert 2 * fate.macs(576, 64, 1024) / 1e9 == pytest.approx(0.9, abs=0.02)
