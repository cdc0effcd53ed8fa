"""Rules by which image, clip, frame or tile a row belongs to."""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import Modality, Rule
from chiasm.stream.rule import Side


@dataclass(frozen=True)
class ItemsSoFar(Rule):
    """A row sees the tokens of every media item that starts before it or with it (mPLUG-Owl3,
    arXiv 2408.04840: text sees image n from its placeholder on).
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return k.item <= q.item


@dataclass(frozen=True)
class BeforeItem(Rule):
    """A media token sees the rows of the sequence that stand before its item begins (Zipper, arXiv
    2405.18669: of the other tower, only what came earlier).
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return k.item < q.item


@dataclass(frozen=True)
class OwnUnit(Rule):
    """A row sees the tokens of its own frame or tile (CrossLMM, arXiv 2505.17020)."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (q.item == k.item) & (q.unit == k.unit)


@dataclass(frozen=True)
class InUnit(Rule):
    """The row that is seen belongs to one frame or tile of its item."""

    unit: int

    def permit(self, q: Side, k: Side) -> Tensor:
        return k.unit == self.unit


@dataclass(frozen=True)
class OwnTile(Rule):
    """A tile's tag sees the tokens of its tile; every other row those of its image, the last that
    starts before it (NVLM, arXiv 2409.11402). Tiles are units 1, 2, …; a text row of such a unit is
    a tag.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        tag = (q.modality == int(Modality.TEXT)) & (q.unit > 0)
        return (q.item == k.item) & (~tag | (q.unit == k.unit))
