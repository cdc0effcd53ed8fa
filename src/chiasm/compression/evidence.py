"""What a scorer may look at: the visual tokens of a sample, and what is known of each.

A look is a hashable value that says what has to be computed; whoever attaches a reducer to a model
computes the looks that it needs, and no others, and hands them over in `Evidence.seen`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Asks(StrEnum):
    """Which rows of the decoder are the queries of an attention look."""

    LAST = "last"
    """The last row of the prompt."""
    QUESTION = "question"
    """The text rows behind the last visual token."""
    ALL = "all"
    """Every row."""


@runtime_checkable
class BlockLook(Protocol):
    """Reads the attention of one encoder block, unit by unit (a tile, a frame).

    `rows_of_all` False: only the class token's row is computed, so `attention` is `[head, 1, row]`.
    """

    @property
    def block(self) -> int: ...

    @property
    def rows_of_all(self) -> bool: ...

    def per_patch(
        self, attention: Float[Tensor, "head query row"], class_tokens: int
    ) -> Float[Tensor, " patch"]:
        """A value for each patch; the first `class_tokens` rows are no patches."""
        ...


@runtime_checkable
class PixelLook(Protocol):
    """Reads the pixels of a unit, 0 to 1, in patches of `side`, raster order."""

    def of_pixels(
        self, pixels: Float[Tensor, "3 height width"], side: int
    ) -> Float[Tensor, " patch"]: ...


@dataclass(frozen=True, kw_only=True)
class BlockKeys:
    """The keys of an encoder block, all heads side by side: `[token, heads * head_width]`."""

    block: int


@dataclass(frozen=True)
class Encoded:
    """The encoder's features, before the projector: `[token, encoder width]`.

    A host whose projector joins several patches into a token cannot give them.
    """


@dataclass(frozen=True, kw_only=True)
class DecoderAttention:
    """Attention at a decoder layer: `[head, query, row]`, softmax over all rows a query sees.

    `back` 0 is the layer before which rows are to go, 1 the one before it. With `logits` the scaled
    dot products themselves, -inf where a query does not see.
    """

    asks: Asks
    back: int = 0
    logits: bool = False


@dataclass(frozen=True)
class Question:
    """Hidden states, at the site, of the text rows behind the last visual token."""


@dataclass(frozen=True)
class TextSimilarity:
    """Cosine of each token with the question in a space that images and words share: `[token]`.

    CLIP's: a patch is projected as the class token is, the question as its text tower's last slot.
    A host gives it whose user has passed that text tower; the decoder has none.
    """


Look = BlockLook | PixelLook | BlockKeys | Encoded | DecoderAttention | Question | TextSimilarity


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The visual tokens under one reducer's eyes: a unit's, an item's or a whole sample's."""

    hidden: Float[Tensor, "token width"]
    """What the decoder has of each at the site."""
    item: Int[Tensor, " token"]
    """Which picture or clip of the sample, from 0."""
    unit: Int[Tensor, " token"]
    """Which tile or frame of the item, from 0; -1 for rows without a place (line breaks)."""
    place: Int[Tensor, "token 2"]
    """Row and column on the unit's own grid; -1 for rows without a place."""
    row: Int[Tensor, " token"]
    """Which of the sample's decoder rows each is: the columns of `DecoderAttention`."""
    seen: Mapping[Look, Tensor] = field(default_factory=dict[Look, Tensor])
    """Of token-wise looks one row a token; `DecoderAttention` keeps all rows of the sample."""

    @property
    def tokens(self) -> int:
        return self.hidden.shape[0]

    def part(self, chosen: Bool[Tensor, " token"]) -> "Evidence":
        """The same of some tokens only; what is not token by token stays whole."""
        return replace(
            self,
            hidden=self.hidden[chosen],
            item=self.item[chosen],
            unit=self.unit[chosen],
            place=self.place[chosen],
            row=self.row[chosen],
            seen={
                look: value if whole(look) else value[chosen] for look, value in self.seen.items()
            },
        )


def whole(look: Look) -> bool:
    """Whether a look is of the sample, not token by token."""
    return isinstance(look, DecoderAttention | Question)


def reads_question(looks: Sequence[Look]) -> bool:
    """Whether any look depends on the text of the prompt."""
    return any(isinstance(look, DecoderAttention | Question | TextSimilarity) for look in looks)
