"""Pictures and what is said of them: what embedders are taught and judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chiasm import data
from chiasm.data.example import Picture
from chiasm.errors import Misuse


class PairLike(Protocol):
    """A picture and one or more texts that fit it."""

    @property
    def id(self) -> str: ...

    @property
    def group(self) -> str:
        """What it is of: pairs of a group are alike."""
        ...

    @property
    def picture(self) -> Picture: ...

    @property
    def texts(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """A pair of a data set of questions and answers: its picture and what is said of it."""

    id: str
    group: str
    picture: Picture
    texts: tuple[str, ...]


def pairs_named(name: str, split: str) -> Sequence[PairLike]:
    """The pairs of a packaged source, or of a data set that describes its pictures.

    Raises:
        Misuse: unknown, or its examples have no picture with an answer.
    """
    examples = data.load(name, split).examples
    found = [
        CaptionedPicture(one.id, _first(said), one.images[0], (said,))
        for one in examples
        if one.images and (said := one.turns[0].answer)
    ]
    if not found:
        raise Misuse(f"{name} ({split}) has no picture that is described; choose another --data")
    return found


def _first(text: str) -> str:
    """What a list of things begins with."""
    return text.split(",")[0].split(" and ")[0]
