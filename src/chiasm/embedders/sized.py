"""The same embedder, its pictures read at another size: a grid of any side, chosen when reading."""

from dataclasses import replace

from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.stages.tower import Tower
from chiasm.errors import Misuse


def at_side(embedder: BuiltEmbedder, side: int) -> BuiltEmbedder:
    """Shares all weights with `embedder`; every picture becomes means over a `side x side` grid.

    Raises:
        Misuse: a tower has no tokens to pool, or pictures have fewer.
    """
    answers = embedder.model.answers
    towers = tuple(_pooled(tower, side) for tower in answers.encode)
    return BuiltEmbedder(embedder.model.under(replace(answers, encode=towers)), embedder.tokenizers)


def _pooled(tower: Tower, side: int) -> Tower:
    pooled = getattr(tower.encoder, "at_side", None)
    if pooled is None:
        raise Misuse(
            f"tower {tower.name} reads pictures at one size; sizes are those of embedders whose "
            "pictures and words are one sequence"
        )
    return replace(tower, encoder=pooled(side))
