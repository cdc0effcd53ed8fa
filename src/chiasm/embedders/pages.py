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
    """As many pages as there are pairs, of 1 to `most` members of other concepts and names.

    Pictures and names alternate. Pages come in twos: the second holds the parts of the first the
    other way round, so that what is on a page does not say which page it is. A page of one member
    is the pair of its own number. Pages of the same names are asked for by the same halves:
    otherwise what is asked with would stand in a document that is right.
    """

    most: int = 3

    def of(self, pairs: Sequence[PairLike]) -> Sequence[PairLike]:
        """Always the same pages of the same pairs."""
        made: list[PairLike] = []
        while len(made) < len(pairs):
            draw = random.Random(len(made))
            count = draw.randint(1, self.most)
            held = _members(pairs, count, draw)
            own = pairs[len(made) : len(made) + 2]
            two = [held, held[::-1]] if count > 1 else [(pair,) for pair in own]
            made += [Page(members, _asked(members)) for members in two]
        return made[: len(pairs)]


def _asked(members: tuple[PairLike, ...]) -> tuple[bool, ...]:
    """Every second member, decided by the names; the same members whichever way round they are."""
    names = [member.texts[0] for member in members]
    ordered = min(names, names[::-1])
    first = zlib.crc32(" | ".join(ordered).encode()) % 2
    shows = tuple(at % 2 == first for at in range(len(members)))
    return shows if names == ordered else shows[::-1]


def _members(pairs: Sequence[PairLike], count: int, draw: random.Random) -> tuple[PairLike, ...]:
    """So many, or fewer where the pairs have fewer."""
    found: list[PairLike] = []
    for at in draw.sample(range(len(pairs)), min(len(pairs), 8 * count)):
        pair = pairs[at]
        known = {one.concept for one in found}, {one.texts[0] for one in found}
        if len(found) < count and pair.concept not in known[0] and pair.texts[0] not in known[1]:
            found.append(pair)
    return tuple(found)


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
