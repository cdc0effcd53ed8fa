"""Late interaction: the batched and the blocked way against the equation."""

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.retrieval import Int8, Multi, Plain, Signs, Tokens, maxsim, maxsim_all
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


def test_only_those_named_in_their_order():
    documents, asked = items((4, 1, 7, 7, 3, 2, 11), 1), items((3, 2))
    packed = Tokens.pack(documents, block_tokens=8)
    some = torch.tensor([5, 0, 6, 3])
    found = maxsim_all(asked, packed, some)
    torch.testing.assert_close(found, maxsim_all(asked, packed)[:, some])


@pytest.mark.parametrize(
    ("storage", "bytes_", "error"),
    [(Plain(torch.bfloat16), 2 * WIDTH, 0.02), (Int8(), WIDTH + 2, 0.02), (Signs(), 2, 0.75)],
)
def test_smaller_storage(storage, bytes_, error):
    """Bytes a vector, and how far scores of unit vectors move."""
    documents = [torch.nn.functional.normalize(one, dim=-1) for one in items((5, 9, 2), 1)]
    asked = [torch.nn.functional.normalize(one, dim=-1) for one in items((4,))]
    packed = Tokens.pack(documents, storage=storage, block_tokens=1)
    assert packed.bytes == bytes_ * (5 + 9 + 2)
    exact, near = maxsim_all(asked, Tokens.pack(documents)), maxsim_all(asked, packed)
    assert 0 < (near - exact).abs().max() / 4 < error


def test_signs_are_read_back():
    vectors = items((6,))[0]
    found = Signs().read(Signs().written(vectors), WIDTH)
    assert torch.equal(found.sign(), vectors.sign())
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(6))


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
