"""Candidates for late interaction: documents by the centroids near their vectors.

Unit vectors are grouped by spherical k-means; each centroid lists the documents that have a vector
of its group. A query's vector reads the lists of its nearest centroids only, and a document's first
score is the sum over query vectors of the best centroid that lists it. What a query vector has not
read counts as its worst centroid that it did read (XTR's imputation, arXiv 2304.01982). The first
`count` documents are then scored exactly.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.retrieval.maxsim import maxsim_all
from chiasm.retrieval.tokens import Tokens

ROUNDS = 4
CELLS = 1 << 18
"""Of a table of query vectors and documents: 1 MB."""
SAMPLE = 24
"""Vectors a centroid that k-means is taught on."""


@dataclass(frozen=True)
class Inverted:
    """Packed documents and the lists that lead to them."""

    tokens: Tokens
    centroids: Float[Tensor, "centroid width"]
    starts: Int[Tensor, " centroid_and_one"]
    """Where each centroid's list begins in `listed`, and the end of the last."""
    listed: Int[Tensor, " entry"]
    """Documents, each once a list."""

    @classmethod
    def build(cls, tokens: Tokens, *, centroids: int | None = None, seed: int = 0) -> "Inverted":
        """Lists of all packed documents; by default 4 sqrt(n) centroids of n vectors."""
        count = int(tokens.lengths.sum())
        wanted = min(count, max(1, int(4 * count**0.5)) if centroids is None else centroids)
        generator = torch.Generator().manual_seed(seed)
        rows = _rows(tokens)
        sample = rows[torch.randperm(count, generator=generator)[: SAMPLE * wanted]]
        found = _spherical(tokens.read(sample).float(), wanted, generator)
        owner = torch.repeat_interleave(torch.arange(len(tokens)), tokens.lengths)
        pairs = _nearest(tokens, rows, found) * len(tokens) + owner
        pairs = pairs.unique()
        lists = pairs // len(tokens)
        starts = torch.searchsorted(lists, torch.arange(wanted + 1))
        return cls(tokens, found, starts, pairs % len(tokens))

    @property
    def bytes(self) -> int:
        """Of the lists, beside the vectors."""
        return self.centroids.nbytes + self.starts.nbytes + self.listed.nbytes

    def search(
        self,
        query: Float[Tensor, "token width"],
        k: int,
        *,
        probes: int = 8,
        count: int = 256,
    ) -> tuple[Float[Tensor, " hit"], Int[Tensor, " hit"]]:
        """Exact scores and numbers of the k best candidates, best first.

        Raises:
            Misuse: fewer candidates than hits.
        """
        if not 0 < k <= count:
            raise Misuse(f"{k} hits of {count} candidates; give 1 to {count} hits")
        near = self.candidates(query, probes=probes, count=count)
        scores = maxsim_all([query], self.tokens, near)[0]
        best = scores.topk(min(k, len(near)))
        return best.values, near[best.indices]

    @torch.inference_mode()
    def candidates(
        self, query: Float[Tensor, "token width"], *, probes: int, count: int
    ) -> Int[Tensor, " document"]:
        """The documents of the `count` best first scores, among those that any list names."""
        products = F.normalize(query.float(), dim=-1) @ self.centroids.T
        best, near = products.topk(min(probes, len(self.centroids)), dim=-1)
        first = torch.zeros(len(self.tokens))
        # Query vectors together, as far as a table of them and all documents stays in the cache.
        together = max(1, CELLS // len(first))
        for values, lists in zip(best.split(together), near.split(together), strict=True):
            first += self._gains(values - values[:, -1:], lists)
        return first.topk(min(count, len(first))).indices

    def _gains(
        self, gains: Float[Tensor, "token list"], lists: Int[Tensor, "token list"]
    ) -> Float[Tensor, " document"]:
        """Each vector's best gain over its worst list, by document, summed; 0 where not listed."""
        starts = self.starts[lists].flatten()
        sizes = self.starts[lists + 1].flatten() - starts
        before = sizes.cumsum(0) - sizes
        entries = torch.arange(int(sizes.sum())) + (starts - before).repeat_interleave(sizes)
        row = torch.arange(len(lists)).repeat_interleave(lists.shape[1]) * len(self.tokens)
        cells = row.repeat_interleave(sizes) + self.listed[entries]
        table = torch.zeros(len(lists) * len(self.tokens))
        table.scatter_reduce_(0, cells, gains.flatten().repeat_interleave(sizes), "amax")
        return table.unflatten(0, (len(lists), -1)).sum(0)


def _rows(tokens: Tokens) -> Tensor:
    """The row of every vector, padding left out, in the documents' order."""
    ends = tokens.lengths.cumsum(0)
    place = torch.arange(int(ends[-1])) - torch.repeat_interleave(
        ends - tokens.lengths, tokens.lengths
    )
    return torch.repeat_interleave(tokens.first, tokens.lengths) + place


def _spherical(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Unit centroids; one that loses its members is drawn anew from the points."""
    points = F.normalize(points, dim=-1)
    centroids = points[torch.randperm(len(points), generator=generator)[:count]]
    for _ in range(ROUNDS):
        nearest = (points @ centroids.T).argmax(-1)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, points)
        bare = torch.bincount(nearest, minlength=count) == 0
        drawn = torch.randint(len(points), (int(bare.sum()),), generator=generator)
        sums[bare] = points[drawn]
        centroids = F.normalize(sums, dim=-1)
    return centroids


def _nearest(tokens: Tokens, rows: Tensor, centroids: Tensor) -> Tensor:
    parts = [(tokens.read(part).float() @ centroids.T).argmax(-1) for part in rows.split(1 << 14)]
    return torch.cat(parts)
