"""Where a pipeline's steps work: the trace, the tools, the pictures, and what was read so far."""

import hashlib
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from chiasm.answering.past import Past
from chiasm.answering.readers.reader import Reader
from chiasm.answering.records import (
    Call,
    Cost,
    Evidence,
    Found,
    Json,
    Media,
    Note,
    Observation,
    Stage,
)
from chiasm.answering.requests import Describe, Request
from chiasm.answering.searchable import Searchable
from chiasm.answering.trace import Trace, written
from chiasm.data.media import read_image
from chiasm.retrieval.embedder import Embedder, Item, Role
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.similarity import similarity
from chiasm.retrieval.unit import Kind, Span, Unit
from chiasm.retrieval.where import All, Where

_BATCH = 32
"""Texts or pictures that are embedded at a time, so that memory does not grow with their number."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a pipeline may call."""

    library: Searchable
    embedder: Embedder
    """Compares questions with passages, titles and pictures."""
    reader: Reader
    pages: Embedder | None = None
    """Compares questions with pages by many vectors; without it `embedder` compares them too."""
    summaries: MutableMapping[str, str] = field(default_factory=dict)
    """What pictures were said to show, by the reader's name and the picture's digest."""


@dataclass(frozen=True, kw_only=True)
class Question:
    text: str
    images: tuple[bytes, ...] = ()
    """Encoded pictures that are shown with it."""
    where: Where | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A unit that was found, without its pixels: they are in the library, and named here."""

    unit: Unit
    picture: str | None
    """SHA-256 of its picture."""
    score: float
    stage: str


class Desk:
    """One run. Every call of a model or an engine passes through `call`, live or replayed."""

    def __init__(
        self,
        trace: Trace,
        tools: Tools | None,
        *,
        past: Past | None = None,
        where: Where | None = None,
    ) -> None:
        """Live with `tools`; replayed with `past`, and then nothing is called."""
        self.trace, self.step = trace, ""
        self._tools, self._past, self._where = tools, past, where
        self._pictures: dict[str, bytes] = {}
        self._units: dict[str, Candidate] = {}

    def call(self, tool: str, arguments: Json, do: Callable[[Tools], tuple[Json, int]]) -> Json:
        """What `do` gives, with the tokens it took; or what the stored trace says it gave."""
        call = Call(step=self.step, tool=tool, arguments=arguments)
        if self._past is not None:
            observation, cost = self._past.answer(call)
        else:
            assert self._tools is not None
            begun = time.perf_counter()
            value, tokens = do(self._tools)
            seconds = round(time.perf_counter() - begun, 6)
            observation, cost = Observation(value=value), Cost(seconds=seconds, tokens=tokens)
        for record in (call, observation, cost):
            self.trace.append(record)
        return observation.value

    def note(self, text: str) -> None:
        self.trace.append(Note(text=text))

    def show(self, images: Sequence[bytes]) -> tuple[str, ...]:
        """Take in pictures that the person shows; their digests."""
        digests = tuple(hashlib.sha256(image).hexdigest() for image in images)
        self._pictures.update(zip(digests, images, strict=True))
        return digests

    def rank(self, stage: str, ranked: Sequence[tuple[str, float]]) -> None:
        """Write a stage's hits, ids and scores, best first."""
        self.trace.append(Stage(name=stage, count=len(ranked)))
        for rank, (identity, score) in enumerate(ranked, 1):
            self.trace.append(Found(id=identity, score=score, rank=rank, stage=stage))

    def candidate(self, identity: str) -> Candidate:
        """A unit that an earlier search gave."""
        return self._units[identity]

    def candidates(self) -> list[Candidate]:
        """Those of the latest stage, best first."""
        return [
            replace(self._units[found.id], score=found.score, stage=found.stage)
            for found in self.trace.found()
        ]

    def search(
        self,
        *,
        words: str = "",
        images: Sequence[str] = (),
        k: int,
        where: Where | None = None,
    ) -> list[Candidate]:
        """The library's k best units for words and pictures, within what the person filters."""
        asked = self.trace.asked()
        arguments = {
            "words": words,
            "images": list(images),
            "k": k,
            "where": _shown(where),
            "within": asked.where,
        }

        def do(tools: Tools) -> tuple[Json, int]:
            parts = [Part(item=Item(text=words))] if words else []
            parts += [Part(item=Item(image=read_image(self._pictures[d]))) for d in images]
            limit = _both(self._where, where)
            hits = tools.library.search(Query(parts=tuple(parts), k=k, where=limit))
            return [
                {"unit": self._written(hit.unit), "score": hit.score, "stage": hit.stage}
                for hit in hits
            ], 0

        return self._taken_in(self.call("search", arguments, do))

    def lookup(self, ids: Sequence[str]) -> list[Candidate]:
        """Units by id, with score 1; those that are not there are left out."""

        def do(tools: Tools) -> tuple[Json, int]:
            units = tools.library.units(ids)
            return [
                {"unit": self._written(one), "score": 1.0, "stage": "lookup"} for one in units
            ], 0

        return self._taken_in(self.call("lookup", {"ids": list(ids)}, do))

    def count(self, where: Where | None = None) -> int:
        """How many units there are, within what the person filters."""

        def do(tools: Tools) -> tuple[Json, int]:
            return tools.library.count(_both(self._where, where)), 0

        within = self.trace.asked().where
        return self.call("count", {"where": _shown(where), "within": within}, do)

    def _taken_in(self, read: Json) -> list[Candidate]:
        found = [_candidate(one) for one in read]
        for one in found:
            if one.unit.id not in self._units and one.picture is not None:
                self.trace.append(Media(id=one.unit.id, sha256=one.picture))
            self._units.setdefault(one.unit.id, one)
        return found

    def alike(self, words: str, texts: Sequence[str], *, images: Sequence[str] = ()) -> list[float]:
        """How near the question (words, pictures, or the mean of both) is to each text."""
        return self._compared("texts", words, images, texts)

    def looks_alike(
        self, words: str, pictures: Sequence[str], *, images: Sequence[str] = ()
    ) -> list[float]:
        """The same, with pictures in place of texts."""
        return self._compared("pictures", words, images, pictures)

    def interact(
        self, words: str, *, texts: Sequence[str] = (), pictures: Sequence[str] = ()
    ) -> list[float]:
        """How near the question is to each page, a text or a picture, by many vectors."""
        kind, among = ("pictures", pictures) if pictures else ("texts", texts)
        return self._compared(kind, words, (), among, pages=True)

    def _compared(
        self,
        kind: str,
        words: str,
        images: Sequence[str],
        among: Sequence[str],
        *,
        pages: bool = False,
    ) -> list[float]:
        if not among:
            return []
        arguments = {"words": words, "images": list(images), kind: list(among)}

        def do(tools: Tools) -> tuple[Json, int]:
            embedder = tools.pages if pages and tools.pages is not None else tools.embedder
            asked = [Item(text=words)] if words else []
            asked += [self._item(digest) for digest in images]
            queries = embedder.embed(asked, role=Role.QUERY)
            scores: list[float] = []
            for start in range(0, len(among), _BATCH):
                held = among[start : start + _BATCH]
                items = [Item(text=one) if kind == "texts" else self._item(one) for one in held]
                documents = embedder.embed(items, role=Role.DOCUMENT)
                scores += similarity(queries, documents).mean(0).tolist()
            return [round(score, 6) for score in scores], 0

        return self.call(f"compare with {'pages' if pages else kind}", arguments, do)

    def _item(self, digest: str) -> Item:
        return Item(image=read_image(self._pictures[digest]))

    def ask(self, request: Request) -> str:
        """What the reader says."""
        arguments = {
            "request": request.name,
            "reader": self.trace.began().reader,
            "prompt": request.prompt(),
            "pictures": list(request.pictures),
        }

        def do(tools: Tools) -> tuple[Json, int]:
            said = tools.reader.ask(request, [self._pictures[d] for d in request.pictures])
            return said.text, said.tokens

        return self.call("reader", arguments, do)

    def summary(self, beside: Evidence) -> str:
        """What a picture shows, in words; the reader is asked once for each picture."""
        request, reader = Describe(beside=beside), self.trace.began().reader
        arguments = {"reader": reader, "prompt": request.prompt(), "picture": beside.picture}
        key = f"{reader} {hashlib.sha256(written(arguments).encode()).hexdigest()}"

        def do(tools: Tools) -> tuple[Json, int]:
            if key in tools.summaries:
                return tools.summaries[key], 0
            said = tools.reader.ask(request, [self._pictures[d] for d in request.pictures])
            tools.summaries[key] = said.text
            return said.text, said.tokens

        return self.call("summary", arguments, do)

    def _written(self, unit: Unit) -> Json:
        """A unit as JSON, its picture put aside under its digest."""
        picture = None
        if unit.picture is not None:
            [picture] = self.show([unit.picture])
        bare = {**asdict(replace(unit, picture=None, metadata={})), "metadata": dict(unit.metadata)}
        return {**bare, "kind": str(unit.kind), "picture": picture}


def _shown(where: Where | None) -> str:
    return "" if where is None else str(where)


def _both(one: Where | None, other: Where | None) -> Where | None:
    limits = tuple(limit for limit in (one, other) if limit is not None)
    return All(limits) if len(limits) > 1 else next(iter(limits), None)


def _candidate(read: Mapping[str, Json]) -> Candidate:
    given = dict(read["unit"])
    picture = given.pop("picture")
    spans = tuple(Span(**{**one, "box": _box(one["box"])}) for one in given.pop("spans"))
    box, kind = _box(given.pop("box")), Kind(given.pop("kind"))
    return Candidate(
        unit=Unit(**given, kind=kind, spans=spans, box=box),
        picture=picture,
        score=read["score"],
        stage=read["stage"],
    )


def _box(read: Json) -> tuple[float, float, float, float] | None:
    return None if read is None else (read[0], read[1], read[2], read[3])
