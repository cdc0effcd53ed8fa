"""The embedder of a server: what requests ask of it, done on the model's thread."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from chiasm.retrieval.embedder import Embedder, Item, Role
from chiasm.retrieval.embedding import Embedding, Single
from chiasm.retrieval.similarity import similarity
from chiasm.serving.refusal import Refused

BATCH = 64
"""Items embedded at once."""


@runtime_checkable
class Counts(Protocol):
    """An embedder that knows its tokens."""

    def tokens(self, texts: Sequence[str]) -> int:
        """How many the texts are together."""
        ...


@runtime_checkable
class Nested(Protocol):
    """An embedder whose vectors begin with what matters most."""

    @property
    def widths(self) -> tuple[int, ...]:
        """How many first entries are useful by themselves."""
        ...


@dataclass(frozen=True)
class Embeds:
    """An embedder under the name by which clients ask for it."""

    name: str
    embedder: Embedder

    def vectors(
        self, items: Sequence[Item], role: Role, instruction: str, dimensions: int | None
    ) -> Tensor:
        """One vector of unit length an item, `[item, width]`.

        Raises:
            Refused: an embedder of many vectors an item, or a width that it was not taught.
        """
        widths = self.embedder.widths if isinstance(self.embedder, Nested) else ()
        if dimensions is not None and widths and dimensions not in widths:
            known = ", ".join(map(str, widths))
            raise Refused(400, f"dimensions {dimensions}; {self.name} was taught at {known}")
        out = []
        for first in range(0, len(items), BATCH):
            batch = items[first : first + BATCH]
            found = self.embedder.embed(batch, role=role, instruction=instruction)
            if not isinstance(found, Single):
                raise Refused(
                    400, f"{self.name} gives many vectors an item; ask /rerank or /search instead"
                )
            out.append(found.vectors)
        whole = torch.cat(out)
        if dimensions not in (None, whole.shape[1]):
            if not widths:
                raise Refused(
                    400,
                    f"dimensions {dimensions}; {self.name} was taught at {whole.shape[1]} alone",
                    field="dimensions",
                )
            whole = Single(vectors=whole).truncated(dimensions).vectors
        return Single(vectors=whole).unit().cpu().float()

    def scores(self, query: Item, documents: Sequence[Item], instruction: str = "") -> list[float]:
        """How near each document is to the query."""
        asked = self.embedder.embed([query], role=Role.QUERY, instruction=instruction)
        out: list[float] = []
        for first in range(0, len(documents), BATCH):
            batch = documents[first : first + BATCH]
            held: Embedding = self.embedder.embed(batch, role=Role.DOCUMENT)
            out += similarity(asked, held)[0].tolist()
        return out

    def tokens(self, texts: Sequence[str]) -> int | None:
        """How many tokens the texts are; None where the embedder does not tell."""
        if not isinstance(self.embedder, Counts):
            return None
        return self.embedder.tokens([text for text in texts if text])


def written(vectors: Tensor, encoding: str) -> list[list[float] | str]:
    """Numbers, or base64 of little-endian float32."""
    if encoding == "float":
        return vectors.tolist()
    return [base64.b64encode(row.numpy().astype("<f4").tobytes()).decode() for row in vectors]
