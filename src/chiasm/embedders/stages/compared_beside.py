"""Multi-Modal Adapter's score (arXiv 2409.02958): a query and the documents read one another."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.embedders.stages.recurrent import Attention
from chiasm.embedders.stages.score import Compares, Scores
from chiasm.errors import Misuse
from chiasm.layers import split_heads
from chiasm.retrieval.embedding import Embedding, Single

MOST = 2**24
"""Numbers of adapted documents held at a time."""


@dataclass(frozen=True, kw_only=True)
class ComparedBeside(Compares):
    """cosine of q' and d'_q: x' = (1 - blend) x + blend up(attention(down(x))) for the unit vectors
    x of one query and all documents.

    A query attends to itself and to every document, a document to every document and that query:
    other queries change nothing, the other documents do. 2 d n + 4 n^2 weights, n the `narrow`
    width, whatever the number of documents. `up` is zero at first, so that a fresh score is the
    cosine.
    """

    reads_all: ClassVar[bool] = True
    width: int
    narrow: int
    heads: int
    blend: float = 0.2

    def build(self) -> "BesideScore":
        return BesideScore(self)


class BesideScore(nn.Module):
    """Single vectors to scores `[query, document]`."""

    def __init__(self, config: ComparedBeside) -> None:
        super().__init__()
        self.config = config
        self.down = nn.Linear(config.width, config.narrow, bias=False)
        self.mix = Attention(config.narrow, config.heads, bias=False)
        self.up = nn.Linear(config.narrow, config.width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, queries: Embedding, documents: Embedding) -> Scores:
        if not isinstance(queries, Single) or not isinstance(documents, Single):
            raise Misuse("documents are compared beside one another by one vector each; give one")
        asked, held = queries.unit(), documents.unit()
        most = max(1, MOST // held.numel())
        return torch.cat([self._scores(some, held) for some in asked.split(most)])

    def _scores(
        self, asked: Float[Tensor, "query width"], held: Float[Tensor, "document width"]
    ) -> Scores:
        """One softmax over the documents, whatever the query; each query adds one key to it.

        With o what a document reads of all documents, s its logit for the query and Z the logsumexp
        of the others, it reads (1 - a) o + a v, a = sigmoid(s - Z).
        """
        (q, own_k, own_v), (t, k, v) = self._heads(asked), self._heads(held)
        scale = q.shape[-1] ** -0.5
        texts = scale * t @ k.transpose(-1, -2)
        among = self._out(texts.softmax(-1) @ v)
        itself = self._out(own_v)
        more = (scale * t @ own_k.transpose(-1, -2) - texts.logsumexp(-1, keepdim=True)).sigmoid()
        read = torch.einsum("hdq,hdw->qdw", 1 - more, among)
        read = read + torch.einsum("hdq,hqw->qdw", more, itself)
        logits = torch.cat(
            [scale * q @ k.transpose(-1, -2), scale * (q * own_k).sum(-1, keepdim=True)], -1
        )
        shares = logits.softmax(-1)
        found = (self._out(shares[..., :-1] @ v) + shares[..., -1:] * itself).sum(0)
        first, second = self._blended(asked, found), self._blended(held, read)
        return torch.einsum("qw,qdw->qd", first, second)

    def _heads(self, vectors: Tensor) -> list[Tensor]:
        """Queries, keys and values, each `[head, item, head_width]`."""
        down = self.down(vectors).unsqueeze(0)
        maps = (self.mix.q, self.mix.k, self.mix.v)
        return [split_heads(one(down), self.config.heads)[0] for one in maps]

    def _out(self, read: Float[Tensor, "head item head_width"]) -> Float[Tensor, "head item width"]:
        """What each head alone adds behind the last two maps, which are linear."""
        maps = split_heads(self.mix.o.weight.unsqueeze(0), self.config.heads)[0]
        return read @ maps.transpose(-1, -2) @ self.up.weight.T

    def _blended(self, kept: Tensor, found: Tensor) -> Tensor:
        blend = self.config.blend
        return nn.functional.normalize((1 - blend) * kept + blend * found, dim=-1)
