"""Interleaved items: several pictures and names in an order, asked for by their other half."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.data.example import Picture
from chiasm.embedders.batches import Takes, Task
from chiasm.embedders.contents import Content, Part, shown, words
from chiasm.embedders.pairs import PairLike
from chiasm.retrieval.embedder import Role


@dataclass(frozen=True, slots=True)
class Page:
    """Members in an order. Its query shows the pictures of some and names the others; its document
    names the former and shows the latter. Two pages of one name hold the same things in one order.
    """

    members: tuple[PairLike, ...]
    asked: tuple[bool, ...]
    """Which members the query shows."""

    @property
    def id(self) -> str:
        return " + ".join(member.id for member in self.members)

    @property
    def concept(self) -> str:
        return self.members[0].concept

    @property
    def picture(self) -> Picture:
        return self.members[0].picture

    @property
    def texts(self) -> tuple[str, ...]:
        return (" | ".join(member.texts[0] for member in self.members),)

    def query(self, turn: int) -> tuple[Part, ...]:
        """The parts in order; `turn` chooses among a member's texts."""
        return self._side(self.asked, turn)

    def document(self, turn: int) -> tuple[Part, ...]:
        """The other half of every member."""
        return self._side(tuple(not one for one in self.asked), turn)

    def _side(self, shows: tuple[bool, ...], turn: int) -> tuple[Part, ...]:
        each = zip(self.members, shows, strict=True)
        return tuple(shown(m.picture) if show else words(_text(m, turn)) for m, show in each)


def _text(of: PairLike, turn: int) -> str:
    texts = of.texts[:-1] or of.texts
    return texts[turn % len(texts)]


@dataclass(frozen=True, kw_only=True)
class Pages:
    """As many pages as there are pairs, of 1 to `most` members that are all of other concepts.

    Pictures and names alternate. Pages come in twos: the second holds the parts of the first the
    other way round, so that what is on a page does not say which page it is. A page of one member
    is the pair of its own number, and the name decides which half is asked with: otherwise another
    page of that name would hold the same half.
    """

    most: int = 3

    def of(self, pairs: Sequence[PairLike]) -> Sequence[PairLike]:
        """Always the same pages of the same pairs."""
        made: list[PairLike] = []
        while len(made) < len(pairs):
            draw = random.Random(len(made))
            count, first = draw.randint(1, self.most), draw.random() < 0.5
            if count == 1:
                places = range(len(made), min(len(made) + 2, len(pairs)))
                made += [Page((pairs[at],), (_asked_with(pairs[at]),)) for at in places]
                continue
            held = _members(pairs, count, draw)
            shows = tuple(first == (at % 2 == 0) for at in range(len(held)))
            made += [Page(held, shows), Page(held[::-1], shows[::-1])]
        return made[: len(pairs)]


def _asked_with(alone: PairLike) -> bool:
    """Whether its picture is."""
    return zlib.crc32(alone.texts[0].encode()) % 2 == 0


def _members(pairs: Sequence[PairLike], count: int, draw: random.Random) -> tuple[PairLike, ...]:
    """Of other concepts; fewer where the pairs have fewer."""
    found: dict[str, PairLike] = {}
    for at in draw.sample(range(len(pairs)), min(len(pairs), 8 * count)):
        if len(found) < count:
            found.setdefault(pairs[at].concept, pairs[at])
    return tuple(found.values())


@dataclass(frozen=True, kw_only=True)
class PageTask(Task):
    """A page by its other half. A pair that is no page is one of a single member, asked for by its
    name.
    """

    name: str = "page-to-page"
    query: tuple[Takes, ...] = (Takes.TEXT, Takes.PICTURE)
    document: tuple[Takes, ...] = (Takes.PICTURE, Takes.TEXT)

    def asks(self, pair: PairLike, turn: int, number: int) -> Content:
        return Content(
            parts=_page(pair).query(turn),
            role=Role.QUERY,
            instruction=self.instruction,
            task=number,
        )

    def holds(self, pair: PairLike, turn: int, number: int) -> Content:
        return Content(
            parts=_page(pair).document(turn),
            role=Role.DOCUMENT,
            instruction=self.document_instruction,
            task=number,
        )


def _page(of: PairLike) -> Page:
    return of if isinstance(of, Page) else Page((of,), (False,))
