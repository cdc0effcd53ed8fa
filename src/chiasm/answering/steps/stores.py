"""Texts and pictures of manuals, ranked together or each by themselves."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from chiasm.answering.database.retrieval import PICTURES
from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import SIZE, Passage, cut, whole
from chiasm.answering.records import Evidence
from chiasm.retrieval.where import Not

POOL = 256
"""Units of each kind that a search brings before they are compared."""


class Store(StrEnum):
    SINGLE = "single"
    """One ranking of all; the k best."""
    DUAL = "dual"
    """Two rankings; the better half of k of each."""


class Images(StrEnum):
    """How a picture is found."""

    SUMMARIES = "summaries"
    """By what the reader said that it shows."""
    EMBEDDINGS = "embeddings"
    """By its pixels."""


@dataclass(frozen=True, kw_only=True)
class TextsAndImages:
    """Cosines with the question decide. All texts become evidence, of the pictures only the first:
    the reader looks at no more than one.
    """

    name: ClassVar[str] = "texts and images"
    k: int
    store: Store
    images: Images

    def run(self, desk: Desk) -> None:
        texts, pictures = self._texts(desk), self._pictures(desk)
        if self.store == Store.DUAL:
            half = self.k // 2
            kept = [*_best(texts, self.k - half), *_best(pictures, half)]
        else:
            kept = _best([*texts, *pictures], self.k)
        desk.rank("texts and images", [(one.unit, score) for score, one in kept])
        seen = False
        for _, one in kept:
            if one.picture is None or not seen:
                desk.trace.append(one)
            seen |= one.picture is not None

    def _texts(self, desk: Desk) -> list[tuple[float, Evidence]]:
        question = desk.trace.asked().text
        found = desk.search(words=question, k=POOL, where=Not(PICTURES))
        passages = [passage for one in found for passage in cut(one.unit, SIZE)]
        scores = desk.alike(question, [passage.text for passage in passages])
        return [
            (score, passage.evidence()) for score, passage in zip(scores, passages, strict=True)
        ]

    def _pictures(self, desk: Desk) -> list[tuple[float, Evidence]]:
        question = desk.trace.asked().text
        found = [
            (one, one.picture)
            for one in desk.search(words=question, k=POOL, where=PICTURES)
            if one.picture is not None
        ]
        if len(found) == POOL:
            desk.note(f"the library has more pictures than the nearest {POOL}, which were compared")
        if self.images == Images.EMBEDDINGS:
            scores = desk.looks_alike(question, [picture for _, picture in found])
        else:
            said = [desk.summary(whole(one.unit).evidence(picture)) for one, picture in found]
            # A picture that nothing was said about cannot be found by words.
            scores = [-1.0] * len(said)
            held = [place for place, text in enumerate(said) if text.strip()]
            for place, score in zip(
                held, desk.alike(question, [said[place] for place in held]), strict=True
            ):
                scores[place] = score
        return [
            (score, _beside(one).evidence(picture))
            for score, (one, picture) in zip(scores, found, strict=True)
        ]


def _beside(one: Candidate) -> Passage:
    """The picture's own caption; never its summary."""
    return whole(one.unit)


def _best(scored: list[tuple[float, Evidence]], count: int) -> list[tuple[float, Evidence]]:
    return sorted(scored, key=lambda pair: -pair[0])[:count]
