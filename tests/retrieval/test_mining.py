"""Hard negatives by three published rules."""

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.retrieval.mining import BelowMargin, ByModality, OnePerBlock, Ranked

QUERIES, CANDIDATES = 6, 40


def drawn(seed: int = 0) -> Ranked:
    generator = torch.Generator().manual_seed(seed)
    right = torch.rand(QUERIES, CANDIDATES, generator=generator) < 0.05
    right[torch.arange(QUERIES), torch.arange(QUERIES)] = True
    return Ranked(
        scores=torch.randn(QUERIES, CANDIDATES, generator=generator),
        right=right,
        candidate_kind=torch.randint(3, (CANDIDATES,), generator=generator),
        wanted_kind=torch.randint(3, (QUERIES,), generator=generator),
    )


@pytest.mark.parametrize(
    "rule",
    [
        BelowMargin(count=7),
        OnePerBlock(count=4, block=5),
        ByModality(wrong_kind=3, right_kind=4, below=10),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_right_is_mined_and_nothing_twice(rule, seed):
    ranked = drawn(seed)
    for number, own in enumerate(rule.mine(ranked, seed)):
        assert len(own) == len(set(own))
        assert not bool(ranked.right[number, own].any())


def test_what_is_too_near_the_right_one_is_left_out():
    scores = torch.tensor([[0.80, 0.79, 0.77, 0.75, 0.10], [-0.4, -0.41, -0.5, 0.3, -0.3]])
    right = torch.tensor([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]).bool()
    found = BelowMargin(count=2).mine(Ranked(scores=scores, right=right))
    assert found == [[3, 4], [2]]


def test_one_from_each_block_of_ranks():
    ranked = drawn(1)
    wrong = [
        [c for c in order.tolist() if not ranked.right[number, c]]
        for number, order in enumerate(ranked.order())
    ]
    seen = set()
    for seed in range(30):
        for number, own in enumerate(OnePerBlock(count=3, block=5).mine(ranked, seed)):
            assert len(own) == 3
            for at, one in enumerate(own):
                place = wrong[number].index(one)
                assert 5 * at <= place < 5 * at + 5
                seen.add(place)
    assert seen == set(range(15))


def test_kinds_of_negatives_by_modality():
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]])
    right = torch.tensor([[0, 0, 1, 0, 0, 0, 0]]).bool()
    kinds = torch.tensor([1, 0, 0, 1, 0, 0, 0])
    ranked = Ranked(scores=scores, right=right, candidate_kind=kinds, wanted_kind=torch.tensor([0]))
    found = ByModality(wrong_kind=2, right_kind=2, below=5).mine(ranked)
    assert found == [[0, 5, 6]]


def test_refusals():
    ranked = Ranked(scores=torch.zeros(2, 3), right=torch.tensor([[1, 0, 0], [0, 0, 0]]).bool())
    with pytest.raises(Misuse, match="query 1 has no right candidate"):
        BelowMargin(count=1).mine(ranked)
    with pytest.raises(Misuse, match="need candidate_kind and wanted_kind"):
        ByModality(wrong_kind=1, right_kind=1).mine(ranked)
