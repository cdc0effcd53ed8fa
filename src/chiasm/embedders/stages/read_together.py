"""COLA's score (arXiv 2305.03689): a picture and words are fused, then held against the words."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.embedders.stages.score import Compares, Scores
from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Embedding, Multi
from chiasm.stream import Modality

MOST = 2**22
"""Numbers of fused tokens held at a time."""


@dataclass(frozen=True, kw_only=True)
class ReadTogether(Compares):
    """mean over words j of <o, t_j>, o what a learned query reads of [picture; words] after one
    post-normed layer over both, for every picture with every text.

    t_j are the words' states as they came; the first and the last, which open and close a text,
    are fused and left out of the mean. No position is added: the order of a picture's tokens
    changes nothing.
    """

    width: int
    heads: int
    ff_width: int

    def build(self) -> "TogetherScore":
        return TogetherScore(self)


class TogetherScore(nn.Module):
    """Vectors of texts and of pictures to scores, whichever of them asks."""

    def __init__(self, config: ReadTogether) -> None:
        super().__init__()
        width, sizes = config.width, (config.width, config.heads, config.ff_width)
        self.fuse = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*sizes, dropout=0.0, batch_first=True),
            num_layers=1,
            norm=nn.LayerNorm(width),
            enable_nested_tensor=False,
        )
        self.read = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*sizes, dropout=0.0, batch_first=True),
            num_layers=1,
            norm=nn.LayerNorm(width),
        )
        self.query = nn.Parameter(0.02 * torch.randn(width))

    def forward(self, queries: Embedding, documents: Embedding) -> Scores:
        if not isinstance(queries, Multi) or not isinstance(documents, Multi):
            raise Misuse("pictures and words are fused token by token; give many vectors an item")
        written = [_written(side) for side in (queries, documents)]
        if written == [True, False]:
            return self._scores(queries, documents)
        if written == [False, True]:
            return self._scores(documents, queries).T
        raise Misuse("pictures are compared with words here; queries and documents are of one kind")

    def _scores(self, words: Multi, pictures: Multi) -> Float[Tensor, "text picture"]:
        inner = _inner(words.valid).unsqueeze(-1)
        means = (words.vectors * inner).sum(1) / inner.sum(1).clamp(min=1)
        count, width = len(pictures), words.vectors.shape[-1]
        tokens = pictures.vectors.shape[1] + words.vectors.shape[1]
        most = max(1, MOST // (tokens * width))
        text, picture = torch.meshgrid(
            torch.arange(len(words), device=means.device),
            torch.arange(count, device=means.device),
            indexing="ij",
        )
        found = [
            (self._fused(words, pictures, t, p) * means[t]).sum(-1)
            for t, p in zip(text.flatten().split(most), picture.flatten().split(most), strict=True)
        ]
        return torch.cat(found).view(len(words), count)

    def _fused(
        self, words: Multi, pictures: Multi, text: Tensor, picture: Tensor
    ) -> Float[Tensor, "pair width"]:
        """Of pairs of numbers."""
        x = torch.cat([pictures.vectors[picture], words.vectors[text]], 1)
        closed = ~torch.cat([pictures.valid[picture], words.valid[text]], 1)
        fused = self.fuse(x, src_key_padding_mask=closed)
        asked = self.query.expand(len(text), 1, -1)
        return cast(Tensor, self.read(asked, fused, memory_key_padding_mask=closed))[:, 0]


def _written(of: Multi) -> bool:
    return bool((of.modality[of.valid] == int(Modality.TEXT)).all())


def _inner(valid: Bool[Tensor, "item token"]) -> Bool[Tensor, "item token"]:
    """All real tokens but an item's first and last."""
    places = valid.long().cumsum(-1)
    return valid & (places > 1) & (places < places[:, -1:])
