"""Candidates by centroids, then exact scores."""

import pytest
import torch
import torch.nn.functional as F

from chiasm.errors import Misuse
from chiasm.retrieval import Inverted, Tokens, maxsim_all

WIDTH = 16


def documents(count: int, seed: int = 0) -> list[torch.Tensor]:
    """Vectors around a few topics a document, of unequal lengths."""
    generator = torch.Generator().manual_seed(seed)
    topics = F.normalize(torch.randn(60, WIDTH, generator=generator), dim=-1)
    out = []
    for number in range(count):
        own = topics[torch.randint(60, (3,), generator=generator)]
        picked = own[torch.randint(3, (5 + number % 7,), generator=generator)]
        noise = 0.15 * torch.randn(len(picked), WIDTH, generator=generator)
        out.append(F.normalize(picked + noise, dim=-1))
    return out


def queries(of: list[torch.Tensor], count: int, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    out = []
    for one in of[:count]:
        picked = one[torch.randint(len(one), (4,), generator=generator)]
        noise = 0.1 * torch.randn(4, WIDTH, generator=generator)
        out.append(F.normalize(picked + noise, dim=-1))
    return out


@pytest.fixture(scope="module")
def built():
    of = documents(300)
    return of, Inverted.build(Tokens.pack(of), centroids=50, seed=3)


def test_lists_name_every_document_of_a_centroid_once(built):
    of, index = built
    for one in range(len(index.centroids)):
        found = index.listed[index.starts[one] : index.starts[one + 1]].tolist()
        wanted = {
            number
            for number, vectors in enumerate(of)
            if bool(((vectors @ index.centroids.T).argmax(-1) == one).any())
        }
        assert len(found) == len(set(found)) and set(found) == wanted


def test_scores_are_exact_and_sorted(built):
    of, index = built
    for query in queries(of, 5):
        scores, found = index.search(query, 10, probes=3, count=40)
        exact = maxsim_all([query], index.tokens)[0]
        torch.testing.assert_close(scores, exact[found])
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_all_documents_as_candidates_find_what_exact_search_does(built):
    of, index = built
    for query in queries(of, 5):
        _, found = index.search(query, 10, probes=1, count=len(of))
        wanted = maxsim_all([query], index.tokens)[0].topk(10).indices
        assert set(found.tolist()) == set(wanted.tolist())


def test_few_candidates_find_most(built):
    """A sixth of the documents, three of fifty lists: the tenfold best are nearly all there."""
    of, index = built
    shared = 0
    for query in queries(of, 40):
        _, found = index.search(query, 10, probes=3, count=50)
        wanted = maxsim_all([query], index.tokens)[0].topk(10).indices
        shared += len(set(found.tolist()) & set(wanted.tolist()))
    assert shared / 400 > 0.9


def test_the_first_score_by_hand(built):
    of, index = built
    [query] = queries(of, 1)
    products = query @ index.centroids.T
    totals = torch.zeros(len(of))
    for row in products:
        best = row.topk(3)
        for number, vectors in enumerate(of):
            own = (vectors @ index.centroids.T).argmax(-1)
            seen = [float(row[c]) for c in own if c in best.indices]
            totals[number] += max(seen, default=float(best.values[-1]))
    found = index.candidates(query, probes=3, count=20)
    torch.testing.assert_close(totals[found], totals.topk(20).values)


def test_one_seed_builds_one_index():
    packed = Tokens.pack(documents(40))
    one, again, other = (Inverted.build(packed, centroids=12, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.centroids, again.centroids) and torch.equal(one.listed, again.listed)
    assert not torch.equal(one.centroids, other.centroids)


def test_more_hits_than_candidates_are_refused(built):
    _, index = built
    with pytest.raises(Misuse, match="10 hits of 5 candidates"):
        index.search(torch.randn(2, WIDTH), 10, count=5)
