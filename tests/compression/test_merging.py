"""Merging to the nearest kept token, against a loop that reads like the definition."""

import pytest
import torch
from tests.compression.made_up import evidence
from torch.nn.functional import cosine_similarity

from chiasm.compression.evidence import BlockKeys, Encoded
from chiasm.compression.merging import MergeNearest, nearest, pooled, pooled_early

SCORES = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.2, 0.9, 0.0])


def slow(hidden, compared, index):
    """Every token that is not kept joins one kept token; then plain means."""
    members = {kept: [kept] for kept in index}
    for token in range(len(hidden)):
        if token not in members:
            cosines = [cosine_similarity(compared[token], compared[k], dim=0) for k in index]
            members[index[int(torch.stack(cosines).argmax())]].append(token)
    return torch.stack([torch.stack([hidden[m] for m in members[k]]).mean(0) for k in index])


@pytest.mark.parametrize("by", [None, BlockKeys(block=1)])
def test_it_is_the_mean_of_the_kept_and_its_members(by):
    given = evidence(((1, 1, 7),), () if by is None else (by,))
    hidden = given.hidden.requires_grad_()
    found = MergeNearest(by=by).apply(given, SCORES, 3)
    assert found.index.tolist() == [1, 3, 5]
    expected = slow(hidden, hidden if by is None else given.seen[by], [1, 3, 5])
    assert torch.allclose(found.hidden, expected, atol=1e-6)
    weights = torch.randn(3, hidden.shape[1])
    ours = torch.autograd.grad((found.hidden * weights).sum(), hidden)[0]
    theirs = torch.autograd.grad((expected * weights).sum(), hidden)[0]
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_kept_token_is_its_own_even_beside_its_double():
    compared = torch.ones(5, 3)
    assert nearest(compared, torch.tensor([1, 3])).tolist() == [0, 0, 0, 1, 0]


def test_means_weigh_sum_to_one_and_conserve_the_sum():
    values, owner = torch.randn(7, 3), torch.tensor([0, 1, 1, 2, 0, 1, 2])
    sizes = torch.bincount(owner).float()
    found = pooled(values, owner, 3)
    assert torch.allclose((found * sizes[:, None]).sum(0), values.sum(0), atol=1e-6)
    weights = torch.rand(7)
    flat = pooled(torch.ones(7, 3), owner, 3, weights)
    assert torch.allclose(flat, torch.ones(3, 3))


def test_sums_are_taken_in_float32():
    values = torch.full((4099, 1), 1.0, dtype=torch.bfloat16)
    found = pooled(values, torch.zeros(4099, dtype=torch.long), 1)
    assert found.dtype == torch.bfloat16
    assert found.item() == 1.0


def test_features_are_averaged_where_the_host_gives_them():
    owner, index = torch.tensor([0, 0, 1, 1, 1, 0, 1]), torch.tensor([0, 4])
    early = pooled_early(evidence(((1, 1, 7),), (Encoded(),)), index, owner)
    late = pooled_early(evidence(((1, 1, 7),)), index, owner)
    assert early.hidden is None and early.encoded.shape == (2, 11)
    assert late.encoded is None and late.hidden.shape == (2, 13)
