"""The same embedder, its pictures read at another size: a grid of any side, chosen when reading."""

from collections.abc import Sequence
from dataclasses import replace

from chiasm.data.views import picture
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.contents import Content
from chiasm.embedders.model import Given
from chiasm.embedders.stages.backbone import Encoded
from chiasm.embedders.stages.tower import Tower
from chiasm.embedders.states import Read
from chiasm.errors import Misuse


def at_side(embedder: BuiltEmbedder, side: int) -> BuiltEmbedder:
    """Shares all weights with `embedder`; every picture becomes means over a `side x side` grid.

    Raises:
        Misuse: a tower has no tokens to pool, or pictures have fewer.
    """
    answers = embedder.model.answers
    towers = tuple(_pooled(tower, side) for tower in answers.encode)
    return BuiltEmbedder(embedder.model.under(replace(answers, encode=towers)), embedder.tokenizers)


def at_sides(
    embedder: BuiltEmbedder, contents: Sequence[Content], sides: Sequence[int]
) -> list[Read]:
    """What the embedder makes of the contents at each size; pictures are drawn and encoded once."""
    drawn = [_drawn(content) for content in contents]
    held: dict[str, Encoded] = {}
    found: list[Read] = []
    for side in sides:
        sized = at_side(embedder, side)
        given = sized.given(drawn)
        inputs = {
            name: (at, replace(read, encoded=held.setdefault(name, Encoded())))
            for name, (at, read) in given.inputs.items()
        }
        found.append(sized.model(Given(given.count, inputs)))
    return found


def _drawn(content: Content) -> Content:
    parts = tuple(
        replace(part, pictures=tuple(picture(one) for one in part.pictures))
        for part in content.parts
    )
    return replace(content, parts=parts)


def _pooled(tower: Tower, side: int) -> Tower:
    pooled = getattr(tower.encoder, "at_side", None)
    if pooled is None:
        raise Misuse(
            f"tower {tower.name} reads pictures at one size; sizes are those of embedders whose "
            "pictures and words are one sequence"
        )
    return replace(tower, encoder=pooled(side))
