"""Many documents' vectors for late interaction, in blocks that a CPU's cache holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.retrieval.storage import Plain, Storage

BLOCK_TOKENS = 1 << 14
"""Vectors of a block: at 128 entries of float32, 8 MB, and 2 MB of products with 32 others."""
TAKEN_TOKENS = 1 << 12
"""Vectors of a group of documents that are picked out: they are copied, and still in the cache."""


@dataclass(frozen=True)
class Block:
    """Rows of some documents of similar lengths, each padded to `length`."""

    start: int
    length: int
    documents: Int[Tensor, " document"]
    """Their numbers."""

    @property
    def stop(self) -> int:
        return self.start + self.length * len(self.documents)


@dataclass(frozen=True)
class Tokens:
    """The vectors of numbered documents, sorted by length.

    A pad repeats its document's first vector, so that a maximum over them needs no mask.
    """

    columns: tuple[Tensor, ...]
    """What `storage` wrote, a row a vector."""
    storage: Storage
    width: int
    blocks: tuple[Block, ...]
    first: Int[Tensor, " document"]
    """The row of each document's first vector."""
    lengths: Int[Tensor, " document"]

    @classmethod
    def pack(
        cls,
        documents: Sequence[Float[Tensor, "token width"]],
        *,
        storage: Storage | None = None,
        block_tokens: int = BLOCK_TOKENS,
    ) -> "Tokens":
        """Copies of the documents' vectors, as they are: normalise first where cosines are meant.

        Raises:
            Misuse: no document, one without a vector, or unequal widths.
        """
        _check(documents)
        storage = storage or Plain()
        lengths = torch.tensor([len(one) for one in documents])
        order = lengths.argsort(stable=True, descending=True)
        first = torch.empty_like(lengths)
        blocks: list[Block] = []
        parts: list[tuple[Tensor, ...]] = []
        start = 0
        while len(order):
            longest = int(lengths[order[0]])
            count = max(1, block_tokens // longest)
            members, order = order[:count], order[count:]
            blocks.append(Block(start, longest, members))
            own = [documents[at] for at in members.tolist()]
            parts.append(storage.written(_padded(own, longest)))
            first[members] = start + longest * torch.arange(len(members))
            start = blocks[-1].stop
        columns = tuple(torch.cat(column) for column in zip(*parts, strict=True))
        return cls(columns, storage, documents[0].shape[1], tuple(blocks), first, lengths)

    def __len__(self) -> int:
        return self.lengths.shape[0]

    @property
    def bytes(self) -> int:
        """Of all vectors, padding included."""
        return sum(column.nbytes for column in self.columns)

    def read(self, rows: slice | Int[Tensor, " row"]) -> Float[Tensor, "row width"]:
        """Vectors by row."""
        return self.storage.read(tuple(column[rows] for column in self.columns), self.width)

    def groups(self, documents: Int[Tensor, " document"] | None) -> list[Block | Tensor]:
        """What `group` reads: all documents, block by block, or the numbers of some, together."""
        if documents is None:
            return list(self.blocks)
        order = documents[self.lengths[documents].argsort(stable=True, descending=True)]
        found: list[Block | Tensor] = []
        while len(order):
            longest = int(self.lengths[order[0]])
            members, order = order.tensor_split([max(1, TAKEN_TOKENS // longest)])
            found.append(members)
        return found

    def group(self, of: Block | Int[Tensor, " document"]) -> "Group":
        """A block's vectors, or those of some documents, the longest first."""
        if isinstance(of, Block):
            return Group(self.read(slice(of.start, of.stop)), of.documents)
        longest = int(self.lengths[of[0]])
        taken = tuple(self._taken(column, of, longest) for column in self.columns)
        return Group(self.storage.read(taken, self.width), of)

    def _taken(self, column: Tensor, members: Tensor, longest: int) -> Tensor:
        """Whole documents' rows, which is several times faster than row by row."""
        parts: list[Tensor] = []
        places = zip(self.first[members].tolist(), self.lengths[members].tolist(), strict=True)
        for first, length in places:
            parts.append(column[first : first + length])
            if length < longest:
                parts.append(column[first : first + 1].expand(longest - length, -1))
        return torch.cat(parts)


@dataclass(frozen=True)
class Group:
    """Vectors of documents, equally many each, one document after the other."""

    vectors: Float[Tensor, "row width"]
    documents: Int[Tensor, " document"]


def _padded(documents: Sequence[Tensor], longest: int) -> Tensor:
    out = torch.empty(len(documents), longest, documents[0].shape[1])
    for at, one in enumerate(documents):
        out[at, : len(one)] = one
        out[at, len(one) :] = one[0]
    return out.flatten(0, 1)


def _check(documents: Sequence[Tensor]) -> None:
    if not documents:
        raise Misuse("no document to pack; give at least 1")
    width = documents[0].shape[-1]
    for number, one in enumerate(documents):
        if one.ndim != 2 or one.shape[1] != width:
            raise Misuse(f"document {number} is {tuple(one.shape)}, not [token, {width}]")
        if not len(one):
            raise Misuse(f"document {number} has no vector; every document needs at least 1")
