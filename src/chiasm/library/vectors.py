"""Units as rows: the vectors of what they say and of what they look like."""

import io
from collections.abc import Sequence

import numpy as np
import torch

from chiasm.data.media import read_image
from chiasm.errors import ChiasmError
from chiasm.retrieval.embedder import Embedder, Item, Role, looks
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single
from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Unit

BATCH = 64
"""Items that are embedded at a time."""


class Vectors:
    """An embedder as a library uses it."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        probe = embedder.embed([Item(text="a")], role=Role.DOCUMENT)
        self.many = isinstance(probe, Multi)
        """Whether an item has many vectors."""
        self.width = _numbers(probe).shape[-1]
        self.looks = looks(embedder)
        """Whether it takes pictures."""

    def rows(self, units: Sequence[Unit]) -> list[Row]:
        """WORDS of title and text, PICTURE of the picture if the embedder takes pictures.

        An embedder of many vectors gives each unit the tokens of its picture, or else of its words.
        """
        words = [_words(unit) for unit in units]
        shown = [unit.picture is not None and self.looks for unit in units]
        if self.many:
            items = [
                _pictured(unit) if looks else Item(text=text)
                for unit, text, looks in zip(units, words, shown, strict=True)
            ]
            found = self.embed(items, Role.DOCUMENT)
            return [Row(unit=unit, tokens=one) for unit, one in zip(units, found, strict=True)]
        texts = self.embed([Item(text=text) for text in words], Role.DOCUMENT)
        seen = [_pictured(unit) for unit, looks in zip(units, shown, strict=True) if looks]
        pictures = iter(self.embed(seen, Role.DOCUMENT))
        return [
            Row(unit=unit, words=text, picture=next(pictures) if looks else None)
            for unit, text, looks in zip(units, texts, shown, strict=True)
        ]

    def embed(
        self, items: Sequence[Item], role: Role, *, instruction: str = ""
    ) -> list[np.ndarray]:
        """float32 of unit length: `[width]` an item, or `[token, width]`."""
        found: list[np.ndarray] = []
        # Alike lengths together: a batch costs what its longest text does.
        order = sorted(range(len(items)), key=lambda at: len(items[at].text))
        for start in range(0, len(order), BATCH):
            some = [items[at] for at in order[start : start + BATCH]]
            given = self.embedder.embed(some, role=role, instruction=instruction)
            found += _arrays(given)
        placed = dict(zip(order, found, strict=True))
        return [placed[at] for at in range(len(items))]


def _words(unit: Unit) -> str:
    return "\n".join(filter(None, (unit.title.strip(), unit.text.strip()))) or unit.path


def _pictured(unit: Unit) -> Item:
    assert unit.picture is not None
    return Item(image=read_image(io.BytesIO(unit.picture)))


def _arrays(embedding: Embedding) -> list[np.ndarray]:
    if isinstance(embedding, Multi):
        whole = embedding.unit().float().cpu().numpy()
        return [one[ok] for one, ok in zip(whole, embedding.valid.cpu().numpy(), strict=True)]
    vectors = embedding.mean if isinstance(embedding, Distribution) else embedding.vectors
    unit = Single(vectors=vectors.float().cpu()).unit().numpy()
    if not np.isfinite(unit).all():
        raise ChiasmError("the embedder gave a vector that is not finite; try another embedder")
    return list(unit)


def _numbers(embedding: Embedding) -> torch.Tensor:
    return embedding.mean if isinstance(embedding, Distribution) else embedding.vectors
