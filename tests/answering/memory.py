"""A library in memory: real units, real vectors, every search over all of them."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch

from chiasm import weights
from chiasm.answering.passages import sentences
from chiasm.retrieval import (
    Embedder,
    Embedding,
    Item,
    Role,
    SentenceModel,
    Single,
    similarity,
    take,
)
from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit, Kind, Span, Unit
from chiasm.retrieval.where import All, Among, Any_, Compare, Not, Where

_COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@cache
def sentence_model() -> SentenceModel:
    return SentenceModel.open(weights.path("minilm-l6"))


@dataclass(frozen=True)
class Remembering:
    """An embedder of words, each embedded once in a session."""

    embedder: SentenceModel
    known: dict[tuple[str, Role], torch.Tensor] = field(default_factory=dict)

    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Single:
        keys = [(one.text, role) for one in items]
        new = [
            one
            for key, one in zip(keys, items, strict=True)
            if key not in self.known or one.image is not None
        ]
        if new or not items:
            made = self.embedder.embed(new, role=role, instruction=instruction, task=task)
            vectors = made.vectors
            self.known.update(((one.text, role), v) for one, v in zip(new, vectors, strict=True))
        return Single(vectors=torch.stack([self.known[key] for key in keys]))


@cache
def minilm() -> Remembering:
    return Remembering(sentence_model())


@dataclass
class Memory:
    """Ranks by the cosine of the query's words with title and text; counts what is asked of it."""

    held: list[Unit]
    embedder: Embedder = field(default_factory=minilm)
    asked: list[Query] = field(default_factory=list)

    def search(self, query: Query) -> list[Hit]:
        self.asked.append(query)
        kept = [unit for unit in self.held if matches(query.where, unit)]
        if not kept:
            return []
        documents = take(self.embedded, torch.tensor([self.held.index(one) for one in kept]))
        parts = self.embedder.embed([Item(text=query.words)], role=Role.QUERY)
        scores = similarity(parts, documents)[0].tolist()
        order = sorted(range(len(kept)), key=lambda place: (-scores[place], kept[place].id))
        return [
            Hit(unit=kept[place], score=scores[place], stage="fused") for place in order[: query.k]
        ]

    @cached_property
    def embedded(self) -> Embedding:
        texts = [Item(text=f"{one.title}\n{one.text}".strip() or one.path) for one in self.held]
        return self.embedder.embed(texts, role=Role.DOCUMENT)

    def units(self, ids: Sequence[str]) -> list[Unit]:
        known = {unit.id: unit for unit in self.held}
        return [known[one] for one in ids if one in known]

    def count(self, where: Where | None = None) -> int:
        return sum(matches(where, unit) for unit in self.held)


def matches(where: Where | None, unit: Unit) -> bool:
    match where:
        case None:
            return True
        case Compare(name, operator_, value):
            have = value_of(unit, name)
            if operator_ == "~":
                return have is not None and str(value).lower() in str(have).lower()
            if have is None:
                return operator_ == "!="
            return _COMPARE[operator_](have, value)
        case Among(name, values):
            return value_of(unit, name) in values
        case All(parts):
            return all(matches(one, unit) for one in parts)
        case Any_(parts):
            return any(matches(one, unit) for one in parts)
        case Not(part):
            return not matches(part, unit)


def value_of(unit: Unit, name: str) -> object:
    if name == "type":
        return str(unit.kind)
    return getattr(unit, name, unit.metadata.get(name))


def section(path: str, text: str, *, title: str = "", **more: object) -> Unit:
    """Words of a file, each sentence in a box of its own, one below the other."""
    parts = sentences(text)
    spans = tuple(
        Span(text=one, box=(0.1, place / 10, 0.9, (place + 1) / 10))
        for place, one in enumerate(parts)
    )
    kind = Kind(str(more.pop("kind", Kind.SECTION)))
    return Unit(
        id=f"{path}#{more.get('page', 1)}",
        path=path,
        file="0" * 64,
        kind=kind,
        title=title,
        text=" ".join(parts),
        spans=spans,
        **more,  # type: ignore[arg-type]
    )
