"""The parts of a search that a person composed, as one query."""

from collections.abc import Sequence

from PIL.Image import Image

from chiasm.retrieval.embedder import Item
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.where import parse
from chiasm.serving.wire.search import Weights


def composed(
    *,
    text: str = "",
    image: Image | None = None,
    minus: str = "",
    like: Sequence[str] = (),
    weights: Weights,
    where: str = "",
    k: int,
    instruction: str = "",
) -> Query:
    """What is wanted less what is not; parts of weight 0, and empty ones, are left out.

    Raises:
        Misuse: nothing is wanted, or the filter cannot be read.
    """
    given = (
        (text.strip(), None, weights.text),
        ("", image, weights.image),
        (minus.strip(), None, -weights.minus),
    )
    parts = tuple(
        Part(item=Item(text=words, image=picture), weight=weight)
        for words, picture, weight in given
        if weight and (words or picture is not None)
    )
    return Query(
        parts=parts,
        like=tuple((one, weights.like) for one in like if weights.like),
        instruction=instruction,
        where=parse(where) if where.strip() else None,
        k=k,
    )
