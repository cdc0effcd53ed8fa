"""Bipartite merging, against loops that read like the definition."""

import pytest
import torch
from tests.compression.made_up import evidence
from torch.nn.functional import cosine_similarity

from chiasm.compression.evidence import BlockKeys
from chiasm.compression.matching import MergeRounds


def slow(values, count, sized, compared=None):
    """Rounds over lists of (position, value, what is compared, size)."""
    compared = values if compared is None else compared
    tokens = [(n, v, c, 1) for n, (v, c) in enumerate(zip(values, compared, strict=True))]
    while len(tokens) > count:
        gone = min(len(tokens) - count, len(tokens) // 2)
        pairs = []
        for source in range(0, len(tokens), 2):
            likeness = [
                cosine_similarity(tokens[source][2], tokens[to][2], dim=0).item()
                for to in range(1, len(tokens), 2)
            ]
            most = max(likeness)
            pairs.append((-most, source, 2 * likeness.index(most) + 1))
        joins = {source: to for _, source, to in sorted(pairs)[:gone]}
        left = []
        for n, token in enumerate(tokens):
            if n in joins:
                continue
            group = [token] + [tokens[s] for s, to in joins.items() if to == n]
            weights = torch.tensor([float(t[3]) if sized else 1.0 for t in group])
            weights = (weights / weights.sum())[:, None]
            value = (weights * torch.stack([t[1] for t in group])).sum(0)
            other = (weights * torch.stack([t[2] for t in group])).sum(0)
            left.append((token[0], value, other, sum(t[3] for t in group)))
        tokens = left
    return [t[0] for t in tokens], torch.stack([t[1] for t in tokens]), [t[3] for t in tokens]


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("by", [None, BlockKeys(block=1)])
@pytest.mark.parametrize("count", [1, 5, 11, 16])
def test_rounds_equal_the_definition(sized, by, count):
    given = evidence(((1, 1, 17),), () if by is None else (by,), seed=count)
    leaf = given.hidden.requires_grad_()
    found = MergeRounds(sized=sized, by=by).apply(given, torch.zeros(17), count)
    index, values, _ = slow(leaf, count, sized, None if by is None else given.seen[by])
    assert found.index.tolist() == index
    assert torch.allclose(found.hidden, values, atol=1e-6)
    weights = torch.randn(values.shape)
    ours, theirs = (
        torch.autograd.grad((x * weights).sum(), leaf)[0] for x in (found.hidden, values)
    )
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.evidence(slug="aim", grade="lawful")
def test_a_round_removes_as_many_as_asked_and_leaves_means_of_what_came():
    """Identity features show whose mean each token is."""
    given = evidence(((1, 1, 13),))
    given = type(given)(**{**given.__dict__, "hidden": torch.eye(13)})
    found = MergeRounds(sized=False).apply(given, torch.zeros(13), 8)
    assert len(found.index) == 13 - 5
    sums = found.hidden.sum(1)
    assert torch.allclose(sums, torch.ones(8))
    for row in found.hidden:
        members = row[row > 0]
        assert torch.allclose(members, torch.full_like(members, 1 / len(members)))
    assert torch.allclose(((found.hidden > 0).sum(0)).float(), torch.ones(13))


def test_sizes_conserve_the_sum_over_any_rounds():
    given = evidence(((1, 1, 19),))
    values = given.hidden
    for count in range(1, 19):
        found = MergeRounds(sized=True).apply(given, torch.zeros(19), count)
        _, _, sizes = slow(values, count, True)
        assert sum(sizes) == 19
        total = (found.hidden * torch.tensor(sizes)[:, None]).sum(0)
        assert torch.allclose(total, values.sum(0), atol=1e-4)


def test_without_sizes_the_sum_is_not_conserved():
    """So that the check above can fail."""
    given = evidence(((1, 1, 19),))
    found = MergeRounds(sized=False).apply(given, torch.zeros(19), 4)
    _, _, sizes = slow(given.hidden, 4, False)
    total = (found.hidden * torch.tensor(sizes)[:, None]).sum(0)
    assert not torch.allclose(total, given.hidden.sum(0), atol=1e-2)


def test_macs_are_those_of_the_cosines():
    fate = MergeRounds(sized=False)
    assert fate.macs(196, 49, 3584) == (98 * 98 + 49 * 49) * 3584
    assert fate.macs(7, 7, 5) == 0
    assert fate.macs(7, 6, 5) == 4 * 3 * 5
