"""What an embedder gives, and how near two of them are."""

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.retrieval import (
    Distribution,
    Multi,
    Single,
    joined,
    modality_maxsim,
    similarity,
    take,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def many(lengths: tuple[int, ...], width: int = 11, seed: int = 0) -> Multi:
    return Multi.of([drawn(n, width, seed=seed + at) for at, n in enumerate(lengths)])


def test_single_vectors_are_compared_by_cosine():
    a, b = drawn(3, 7), drawn(5, 7, seed=1)
    found = similarity(Single(vectors=a), Single(vectors=3 * b))
    wanted = torch.stack([torch.cosine_similarity(one[None], b) for one in a])
    torch.testing.assert_close(found, wanted)


def test_one_vector_each_makes_maxsim_a_cosine():
    a, b = drawn(3, 7), drawn(5, 7, seed=1)
    multi = [Multi.of(list(each.unsqueeze(1))) for each in (a, b)]
    torch.testing.assert_close(similarity(*multi), similarity(Single(vectors=a), Single(vectors=b)))


def test_nested_prefixes_are_normalised_again():
    whole = Single(vectors=drawn(4, 12))
    part = whole.truncated(5)
    assert part.vectors.shape == (4, 5)
    torch.testing.assert_close(similarity(part, part).diagonal(), torch.ones(4))
    with pytest.raises(Misuse, match="width 13 of vectors 12 wide"):
        whole.truncated(13)


def test_distributions_are_as_far_as_their_draws_are_on_average():
    a = Distribution(mean=drawn(2, 5), log_sigma=0.3 * drawn(2, 5, seed=1))
    b = Distribution(mean=drawn(3, 5, seed=2), log_sigma=0.3 * drawn(3, 5, seed=3) - 1)
    x, y = a.draw(4000, seed=4), b.draw(4000, seed=5)
    apart = (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(-1).mean(-1)
    torch.testing.assert_close(similarity(a, b), -apart, rtol=0.05, atol=0)


def test_a_sure_distribution_is_its_mean():
    a = Distribution(mean=drawn(3, 5), log_sigma=torch.full((3, 5), -40.0))
    torch.testing.assert_close(similarity(a, a).diagonal(), torch.zeros(3), atol=1e-5, rtol=0)
    assert torch.equal(a.draw(2, seed=0)[:, 0], a.draw(2, seed=1)[:, 1])


def test_modality_maxsim_is_at_most_maxsim_and_equal_with_one_modality():
    queries, documents = many((3, 2)), many((5, 4, 6), seed=10)
    torch.testing.assert_close(modality_maxsim(queries, documents), similarity(queries, documents))
    kinds = torch.arange(documents.valid.shape[1]).expand_as(documents.modality) % 3
    mixed = Multi(vectors=documents.vectors, valid=documents.valid, modality=kinds)
    apart = modality_maxsim(queries, mixed)
    assert bool((apart <= similarity(queries, mixed) + 1e-6).all())
    assert bool((apart < similarity(queries, mixed) - 1e-3).any())


def test_a_modality_that_only_others_have_never_wins():
    """Document 1 has nothing of modality 2, and its score is that of its own vectors."""
    queries, documents = many((2,)), many((3, 3), seed=10)
    kinds = torch.tensor([[0, 2, 2], [0, 0, 0]])
    mixed = Multi(vectors=documents.vectors, valid=documents.valid, modality=kinds)
    torch.testing.assert_close(
        modality_maxsim(queries, mixed)[0, 1], similarity(queries, documents)[0, 1]
    )


def test_items_are_taken_and_joined():
    whole = many((3, 1, 4, 2))
    parts = [take(whole, torch.tensor([0, 1])), take(whole, torch.tensor([2, 3]))]
    again = joined(parts)
    assert torch.equal(again.vectors, whole.vectors) and torch.equal(again.valid, whole.valid)
    longer = joined([many((2,)), many((5,))])
    assert longer.valid.sum(-1).tolist() == [2, 5]


def test_refusals():
    single, multi = Single(vectors=drawn(2, 5)), many((2,), 5)
    with pytest.raises(Misuse, match="Single and Multi cannot be compared"):
        similarity(single, multi)
    with pytest.raises(Misuse, match="Multi, Single cannot be joined"):
        joined([single, multi])  # type: ignore[list-item]
    with pytest.raises(Misuse, match="vectors 5 and 7 wide"):
        joined([single, Single(vectors=drawn(2, 7))])
    with pytest.raises(Misuse, match="item 1 has no vector"):
        Multi.of([drawn(2, 5), drawn(0, 5)])
    with pytest.raises(Misuse, match="query vectors are 5 wide and documents' 7"):
        similarity(multi, many((2,), 7))
