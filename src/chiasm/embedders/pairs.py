"""Pictures and what is said of them: what embedders are taught and judged on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from chiasm import data
from chiasm.data import changed_scenes, moving_scenes
from chiasm.data import pairs as packaged
from chiasm.data.example import Picture
from chiasm.errors import Misuse


class PairLike(Protocol):
    """A picture and texts that fit it; the first is its name, and pairs of one name are alike."""

    @property
    def id(self) -> str: ...

    @property
    def concept(self) -> str:
        """What it is of: a class of pairs."""
        ...

    @property
    def picture(self) -> Picture: ...

    @property
    def texts(self) -> tuple[str, ...]: ...


@runtime_checkable
class Changed(PairLike, Protocol):
    """A picture that is another one changed, as words say."""

    @property
    def before(self) -> Picture: ...

    @property
    def change(self) -> str: ...


@runtime_checkable
class Filmed(PairLike, Protocol):
    """A film; its picture is one of the frames."""

    @property
    def frames(self) -> tuple[Picture, ...]: ...


DRAWN: Mapping[str, Callable[[str], Sequence[PairLike]]] = MappingProxyType(
    {"scenes-changes": changed_scenes.pairs, "scenes-films": moving_scenes.pairs}
)
"""Generated pairs of a split, by name."""


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """A pair of a data set of questions and answers: its picture and what is said of it."""

    id: str
    concept: str
    picture: Picture
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedPicture(CaptionedPicture):
    """The same with the picture that it was."""

    before: Picture
    change: str


@dataclass(frozen=True, slots=True)
class FilmedPictures(CaptionedPicture):
    """The same with all frames of the film that its picture is of."""

    frames: tuple[Picture, ...]


def pairs_named(name: str, split: str) -> Sequence[PairLike]:
    """The pairs of a packaged set, or of a data set that describes its pictures.

    Raises:
        Misuse: unknown, or its examples have no picture with an answer.
    """
    if name in packaged.SETS:
        return packaged.load(name, split)
    if name in DRAWN:
        return DRAWN[name](split)
    examples = data.load(name, split).examples
    found = [
        CaptionedPicture(one.id, _first(said), one.images[0], (said, _first(said)))
        for one in examples
        if one.images and (said := one.turns[0].answer)
    ]
    if not found:
        raise Misuse(f"{name} ({split}) has no picture that is described; choose another --data")
    return found


def _first(text: str) -> str:
    """What a list of things begins with."""
    return text.split(",")[0].split(" and ")[0]
