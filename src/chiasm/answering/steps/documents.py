"""Hierarchical retrieval (Wiki-LLaVA): whole documents first, then passages of those alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import ClassVar

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import SIZE
from chiasm.answering.steps.fitting import fitted
from chiasm.errors import Misuse
from chiasm.retrieval.where import Among

POOL = 256
"""Units that a search brings before they are grouped or cut."""


class Face(StrEnum):
    """What of a document the question is compared with."""

    TITLE = "title"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class Documents:
    """The k files whose title, or nearest picture, is nearest to the question's pictures; to its
    words where it shows none. Each is in the trace as its best unit.
    """

    name: ClassVar[str] = "documents"
    k: int
    by: Face = Face.TITLE

    def run(self, desk: Desk) -> None:
        if self.k == 0:
            desk.rank("documents", [])
            return
        asked = desk.trace.asked()
        words = "" if asked.images else asked.text
        pool = desk.search(words=words, images=asked.images, k=POOL)
        files: dict[str, list[Candidate]] = {}
        for one in pool:
            files.setdefault(one.unit.path, []).append(one)
        if self.by == Face.TITLE:
            titles = [title(units) for units in files.values()]
            scores = desk.alike(words, titles, images=asked.images)
        else:
            scores = _by_pictures(desk, words, asked.images, list(files.values()))
        ranked = sorted(zip(files.values(), scores, strict=True), key=lambda pair: -pair[1])
        desk.rank("documents", [(units[0].unit.id, score) for units, score in ranked[: self.k]])


@dataclass(frozen=True, kw_only=True)
class GoldDocuments:
    """An oracle in place of `Documents`: the files that are known to hold the answer."""

    name: ClassVar[str] = "gold documents"
    paths: tuple[str, ...]

    def run(self, desk: Desk) -> None:
        where = Among("path", self.paths)
        found = desk.search(words=desk.trace.asked().text, k=POOL, where=where)
        first = {one.unit.path: one.unit.id for one in reversed(found)}
        missing = [path for path in self.paths if path not in first]
        if missing:
            raise Misuse(f"gold document {missing[0]} is not in the library; check its path")
        desk.rank("documents", [(first[path], 1.0) for path in self.paths])


@dataclass(frozen=True, kw_only=True)
class PassagesOfDocuments:
    """The `passages` passages of about `size` characters, of the found documents alone, that fit
    the question best; no other document's passage is ever scored.
    """

    name: ClassVar[str] = "passages of documents"
    passages: int
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        paths = tuple(one.unit.path for one in desk.candidates())
        if not paths:
            return
        question = desk.trace.asked().text
        units = desk.search(words=question, k=POOL, where=Among("path", paths))
        if len(units) == POOL:
            desk.note(f"the documents have {POOL} units or more; the nearest {POOL} were cut")
        parts = fitted(desk, units, self.size)
        best = sorted(parts, key=lambda part: -part.fit)[: self.passages]
        desk.rank("passages", [(part.passage.unit.id, part.fit) for part in best])
        for part in best:
            desk.trace.append(part.passage.evidence())


def title(units: Sequence[Candidate]) -> str:
    """What a file is called: by its units, or by its name."""
    titles = (one.unit.title.strip() for one in units)
    return next(filter(None, titles), PurePosixPath(units[0].unit.path).stem)


def _by_pictures(
    desk: Desk, words: str, images: tuple[str, ...], files: Sequence[Sequence[Candidate]]
) -> list[float]:
    """Of each file the nearest picture's score; -1 for a file without pictures."""
    owners = [
        (place, one.picture)
        for place, units in enumerate(files)
        for one in units
        if one.picture is not None
    ]
    scores = desk.looks_alike(words, [picture for _, picture in owners], images=images)
    best = [-1.0] * len(files)
    for (place, _), score in zip(owners, scores, strict=True):
        best[place] = max(best[place], score)
    return best
