"""Late interaction: the batched and the blocked way against the equation."""

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.retrieval import Multi, Tokens, maxsim, maxsim_all
from chiasm.retrieval.maxsim import maxsim_slowly

WIDTH = 13


def items(lengths, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, WIDTH, generator=generator) for n in lengths]


@pytest.mark.parametrize("lengths", [((3, 1, 5), (4, 7, 1, 2)), ((1,), (1,)), ((6,), (2, 2))])
def test_the_batched_way_in_values_and_gradients(lengths):
    found = []
    for score in (maxsim, maxsim_slowly):
        queries, documents = (Multi.of(items(each, at)) for at, each in enumerate(lengths))
        for one in (queries, documents):
            one.vectors.requires_grad_()
        scores = score(queries, documents)
        weights = torch.arange(1.0, scores.numel() + 1).view_as(scores)
        (scores * weights).sum().backward()
        found.append((scores, queries.vectors.grad, documents.vectors.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other.to(one.dtype))


@pytest.mark.parametrize("block_tokens", [1, 5, 16, 10_000])
@pytest.mark.parametrize("queries", [(3,), (1, 4, 2)])
def test_the_blocked_way(block_tokens, queries):
    """Negative scores too: padding must not win over vectors that all point away."""
    documents = [-one.abs() for one in items((4, 1, 7, 7, 3, 2, 11), 1)]
    asked = [one.abs() for one in items(queries)]
    found = maxsim_all(asked, Tokens.pack(documents, block_tokens=block_tokens))
    wanted = maxsim_slowly(Multi.of(asked), Multi.of(documents))
    torch.testing.assert_close(found, wanted.float())
    assert bool((found < 0).all())


def test_half_precision_is_near_and_half_the_size():
    documents, asked = items((5, 9, 2), 1), items((4,))
    whole, half = (Tokens.pack(documents, dtype=d) for d in (torch.float32, torch.bfloat16))
    assert half.bytes * 2 == whole.bytes
    exact, near = maxsim_all(asked, whole), maxsim_all(asked, half)
    torch.testing.assert_close(near, exact, rtol=0.03, atol=0.1)
    assert not torch.equal(near, exact)


def test_permuting_documents_permutes_scores():
    documents, asked = items((4, 1, 7, 3), 1), items((2, 3))
    order = [2, 0, 3, 1]
    found = maxsim_all(asked, Tokens.pack([documents[at] for at in order], block_tokens=8))
    torch.testing.assert_close(found, maxsim_all(asked, Tokens.pack(documents))[:, order])


def test_a_further_vector_never_lowers_a_score():
    documents, asked = items((4, 3), 1), items((5,))
    longer = [torch.cat([one, *items((1,), 9)]) for one in documents]
    before, after = (maxsim_all(asked, Tokens.pack(each)) for each in (documents, longer))
    assert bool((after >= before).all())


def test_refusals():
    packed = Tokens.pack(items((2, 3)))
    with pytest.raises(Misuse, match="query vectors are 5 wide and documents' 13"):
        maxsim_all([torch.randn(2, 5)], packed)
    with pytest.raises(Misuse, match="a query without a vector"):
        maxsim_all([torch.randn(0, WIDTH)], packed)
    with pytest.raises(Misuse, match="no document to pack"):
        Tokens.pack([])
    with pytest.raises(Misuse, match="document 1 has no vector"):
        Tokens.pack(items((2, 0)))
    with pytest.raises(Misuse, match=r"document 1 is \(2, 5\), not \[token, 13\]"):
        Tokens.pack([*items((2,)), torch.randn(2, 5)])
