"""Many documents' vectors for late interaction, packed in blocks that a CPU's cache holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse

BLOCK_TOKENS = 8192
"""Vectors of a block: at 128 entries of float32, 4 MB, and 1 MB of products with 32 others."""


@dataclass(frozen=True)
class Block:
    """Documents of similar lengths, padded to the longest.

    A pad repeats its document's first vector, so that a maximum over the vectors needs no mask.
    """

    vectors: Float[Tensor, "document token width"]
    documents: Int[Tensor, " document"]
    """Their numbers."""


@dataclass(frozen=True)
class Tokens:
    """The vectors of numbered documents, sorted by length into blocks."""

    blocks: tuple[Block, ...]
    lengths: Int[Tensor, " document"]
    width: int

    @classmethod
    def pack(
        cls,
        documents: Sequence[Float[Tensor, "token width"]],
        *,
        dtype: torch.dtype = torch.float32,
        block_tokens: int = BLOCK_TOKENS,
    ) -> "Tokens":
        """Copies of the documents' vectors, as they are: normalise first where cosines are meant.

        Raises:
            Misuse: no document, one without a vector, or unequal widths.
        """
        if not documents:
            raise Misuse("no document to pack; give at least 1")
        width = documents[0].shape[-1]
        for number, one in enumerate(documents):
            if one.ndim != 2 or one.shape[1] != width:
                raise Misuse(f"document {number} is {tuple(one.shape)}, not [token, {width}]")
            if not len(one):
                raise Misuse(f"document {number} has no vector; every document needs at least 1")
        lengths = torch.tensor([len(one) for one in documents])
        order = lengths.argsort(stable=True, descending=True).tolist()
        blocks: list[Block] = []
        while order:
            longest = int(lengths[order[0]])
            count = max(1, block_tokens // longest)
            members, order = order[:count], order[count:]
            blocks.append(_block([documents[at] for at in members], members, longest, dtype))
        return cls(tuple(blocks), lengths, width)

    def __len__(self) -> int:
        return self.lengths.shape[0]

    @property
    def bytes(self) -> int:
        """Of all vectors, padding included."""
        return sum(block.vectors.nbytes for block in self.blocks)


def _block(
    documents: Sequence[Tensor], numbers: Sequence[int], longest: int, dtype: torch.dtype
) -> Block:
    vectors = torch.empty(len(documents), longest, documents[0].shape[1], dtype=dtype)
    for at, one in enumerate(documents):
        vectors[at, : len(one)] = one
        vectors[at, len(one) :] = one[0]
    return Block(vectors, torch.tensor(numbers))
