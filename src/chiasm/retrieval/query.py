"""What is asked of a library: words and pictures, wanted and unwanted, each with its weight."""

from dataclasses import dataclass

from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item
from chiasm.retrieval.where import Where


@dataclass(frozen=True, kw_only=True)
class Part:
    """Words or a picture; a negative weight asks for less of it."""

    item: Item
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Query:
    """Several parts, composed as sum_i w_i v_i / |sum_i w_i v_i|."""

    parts: tuple[Part, ...] = ()
    like: tuple[tuple[str, float], ...] = ()
    """Units already found, by id, and their weights: more like this, or less."""
    instruction: str = ""
    where: Where | None = None
    k: int = 10

    def __post_init__(self) -> None:
        wanted = [part.weight for part in self.parts] + [weight for _, weight in self.like]
        if not any(weight > 0 for weight in wanted):
            raise Misuse("nothing is asked for; give words, a picture or a unit of positive weight")
        if self.k < 1:
            raise Misuse(f"k is {self.k}; ask for at least 1 result")

    @property
    def words(self) -> str:
        """The wanted words, as full-text search reads them."""
        texts = [part.item.text for part in self.parts if part.weight > 0 and part.item.text]
        return " ".join(texts)
