"""One type for all taught data: images, and what is said about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload, runtime_checkable

from PIL.Image import Image

from chiasm.data.spotted import Spot


@runtime_checkable
class Drawing(Protocol):
    """A picture held as the values that it is drawn from."""

    def draw(self) -> Image: ...


Picture = Path | Image | Drawing
"""An image by its path, or by what it is drawn from; one that was already read only where a person
asks about it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a picture that an answer points at, for heads that can."""

    at: int
    """Where in the answer: a character offset."""
    y: float
    x: float
    """Fractions of the picture's height and width, from the top left."""
    image: int = 0
    """Which of the example's images."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer (`answer` may be empty when it is still to be given)."""

    question: str
    answer: str = ""
    places: tuple[int, ...] = ()
    """Where images stand in `question`: character offsets, in order, one an image. The text itself
    holds no markers, so a user who types one changes nothing."""
    picture: Picture | None = None
    """A picture that the answer draws, after its words if it has any; it ends the answer."""
    points: tuple[Point, ...] = ()
    """What the answer points at, in order; systems that cannot point say its words alone."""


@dataclass(frozen=True, slots=True)
class Example:
    """Images (by path or drawing, so that a data set holds no pixels) and the turns about them.

    `images` are those that questions show; what an answer draws stands in its turn.

    With no `places` in any turn, the images come before the first question.
    """

    id: str
    images: tuple[Picture, ...]
    turns: tuple[Turn, ...]
    independent: bool = False
    """True: separate questions about the same images, no turn may read another.
    False: a conversation, in order."""
    system: str = ""
    """A system prompt of this example's own; empty: the template's."""
    spots: tuple[tuple[Spot, ...], ...] = ()
    """Words that were found in each of `images`, and where, for systems that read them; () where
    nobody looked."""


@dataclass(frozen=True)
class Dataset(Sequence[Example]):
    """A named split: an immutable sequence of examples."""

    name: str
    split: str
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, index: int | slice) -> Example | tuple[Example, ...]:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def texts(self) -> Iterator[str]:
        """Every question and answer, in order: what a tokenizer is fitted on."""
        for example in self.examples:
            for turn in example.turns:
                yield turn.question
                yield turn.answer
