"""Whatever puts items into one space: what it is given, and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from PIL.Image import Image, new

from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Embedding


class Role(StrEnum):
    """On which side of a search an item stands; many embedders treat the two unlike."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, kw_only=True)
class Item:
    """What one embedding is made of: words, a picture, or both together."""

    text: str = ""
    image: Image | None = None

    def __post_init__(self) -> None:
        if not self.text.strip() and self.image is None:
            raise Misuse("an item with neither words nor a picture cannot be embedded; give one")

    @property
    def modality(self) -> str:
        """`text`, `image`, or `image and text`."""
        parts = [name for name in ("image", "text") if getattr(self, name)]
        return " and ".join(parts)


class Embedder(Protocol):
    """A frozen model."""

    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Embedding:
        """One embedding an item, all of one kind, in their order.

        Raises:
            Misuse: no item, a modality that it does not take, or an unknown task.
        """
        ...


def looks(embedder: Embedder) -> bool:
    """Whether it takes pictures; asked by showing it one: it refuses what it does not take."""
    try:
        embedder.embed([Item(image=new("RGB", (32, 32), "white"))], role=Role.DOCUMENT)
    except Misuse:
        return False
    return True
