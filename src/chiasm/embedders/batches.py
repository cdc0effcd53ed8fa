"""Which items meet in a batch: tasks, homogeneous blocks, chunks of gradients, hard negatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chiasm.embedders.contents import Content, Part, shown, words
from chiasm.embedders.pairs import Changed, Filmed, PairLike
from chiasm.embedders.stages.inverted import NATIVE
from chiasm.embedders.stages.schedules import AS_ANSWERED
from chiasm.embedders.viewed import View
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Role
from chiasm.stream import Modality


class Takes(StrEnum):
    """A part that a task makes of a pair. Of several texts the last is kept for `WRITTEN`."""

    PICTURE = "picture"
    TEXT = "text"
    """One of the texts, another one each epoch."""
    OTHER = "other"
    """The text after that; the same one where there is no other."""
    WRITTEN = "written"
    """The last text, as a document's words: metadata, what stands in a picture."""
    VIEW = "view"
    """A part of the picture, another one each epoch."""
    BEFORE = "before"
    """The picture that this one was before a change."""
    CHANGE = "change"
    """What changed, in words."""
    FILM = "film"
    """All frames of a film."""
    CLIP = "clip"
    """The picture, then a part of it, as a clip of two frames."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked with and what is looked for, and how both are told."""

    name: str
    query: tuple[Takes, ...]
    document: tuple[Takes, ...]
    instruction: str = ""
    document_instruction: str = ""
    weight: float = 1.0
    about: Modality = Modality.IMAGE
    """Which part of a document of several modalities it asks about."""
    inverts: Any = NATIVE
    """How its queries are turned into the other modality before they search."""

    def asks(self, pair: PairLike, turn: int, number: int) -> Content:
        """The query of a pair in an epoch; `number` is the task's."""
        parts = parts_of(pair, self.query, turn)
        return Content(parts=parts, role=Role.QUERY, instruction=self.instruction, task=number)

    def holds(self, pair: PairLike, turn: int, number: int) -> Content:
        """The document that answers it."""
        return Content(
            parts=parts_of(pair, self.document, turn),
            role=Role.DOCUMENT,
            instruction=self.document_instruction,
            task=number,
        )


def parts_of(pair: PairLike, takes: tuple[Takes, ...], turn: int) -> tuple[Part, ...]:
    """The parts of a pair, in the order asked.

    Raises:
        Misuse: the pair has no such part.
    """
    texts = pair.texts[:-1] or pair.texts

    def view() -> View:
        return View(pair.picture, f"{pair.id} {turn}")

    made = {
        Takes.PICTURE: lambda: shown(pair.picture),
        Takes.TEXT: lambda: words(texts[turn % len(texts)]),
        Takes.OTHER: lambda: words(texts[(turn + 1) % len(texts)]),
        Takes.WRITTEN: lambda: words(pair.texts[-1], Modality.DOCUMENT),
        Takes.BEFORE: lambda: shown(_changed(pair).before),
        Takes.CHANGE: lambda: words(_changed(pair).change),
        Takes.FILM: lambda: shown(*_filmed(pair).frames, modality=Modality.VIDEO),
        Takes.VIEW: lambda: shown(view()),
        Takes.CLIP: lambda: shown(pair.picture, view(), modality=Modality.VIDEO),
    }
    return tuple(made[one]() for one in takes)


def _changed(pair: PairLike) -> Changed:
    if not isinstance(pair, Changed):
        raise Misuse(f"{pair.id} tells no change of a picture; choose --data scenes-changes")
    return pair


def _filmed(pair: PairLike) -> Filmed:
    if not isinstance(pair, Filmed):
        raise Misuse(f"{pair.id} is a picture and no film; choose --data scenes-films")
    return pair


TEXT_TO_PICTURE = Task(name="text-to-picture", query=(Takes.TEXT,), document=(Takes.PICTURE,))
PICTURE_TO_TEXT = Task(name="picture-to-text", query=(Takes.PICTURE,), document=(Takes.TEXT,))
PICTURE_TO_PICTURE = Task(
    name="picture-to-picture", query=(Takes.PICTURE,), document=(Takes.PICTURE,)
)
TEXT_TO_CLIP = Task(
    name="text-to-clip", query=(Takes.TEXT,), document=(Takes.CLIP,), about=Modality.VIDEO
)
PICTURE_TO_VIEW = Task(name="picture-to-view", query=(Takes.PICTURE,), document=(Takes.VIEW,))
CHANGE_TO_PICTURE = Task(
    name="change-to-picture", query=(Takes.BEFORE, Takes.CHANGE), document=(Takes.PICTURE,)
)
"""Composed retrieval: a picture and a change of it look for what comes of them."""
TEXT_TO_FILM = Task(name="text-to-film", query=(Takes.TEXT,), document=(Takes.FILM,))


@dataclass(frozen=True)
class EachAlone:
    """The null answer: a pair is an item."""

    def of(self, pairs: Sequence[PairLike]) -> Sequence[PairLike]:
        return pairs


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The tasks by weight; blocks of one task; chunks; negatives that a rule mines.

    A batch is made of blocks of `block` samples, each block of one task (VLM2Vec-V2, arXiv
    2507.04590); None: the whole batch is one block. With `chunk`, a batch's gradients are computed
    so many items at a time (GradCache, arXiv 2101.06983). From stage `mined_from` on, each query
    brings `negatives` documents that `mining` finds with the model as it is when the stage begins.
    """

    tasks: tuple[Task, ...] = (TEXT_TO_PICTURE,)
    block: int | None = None
    chunk: int | None = None
    mining: Any = None
    """A rule of `chiasm.retrieval.mining`."""
    negatives: int = 0
    mined_from: int = 1
    staged: tuple[tuple[int, ...], ...] = ()
    """Numbers of the tasks that each stage teaches; () and () inside it: all."""
    sessions: tuple[tuple[float, float], ...] = ()
    """From which share of the concepts, in the order of their names, to which each stage teaches:
    (0.6, 0.65) is a session of a twentieth of them; (): all, always."""
    pages: Any = EachAlone()
    """What pairs become before tasks read them (`chiasm.embedders.pages.Pages`)."""
    sizes: Any = AS_ANSWERED
    """At which sizes pictures are read, and compared (`chiasm.embedders.stages.schedules`)."""

    def taught(self, stage: int) -> tuple[int, ...]:
        """The tasks of a stage, by number."""
        chosen = self.staged[stage] if stage < len(self.staged) else ()
        return chosen or tuple(range(len(self.tasks)))

    def session(self, stage: int, concepts: int) -> range:
        """The concepts of a stage, by number."""
        low, high = self.sessions[stage] if stage < len(self.sessions) else (0.0, 1.0)
        first, end = (int(share * concepts + 1e-9) for share in (low, high))
        return range(first, end)

    def __post_init__(self) -> None:
        if self.sessions and self.negatives:
            raise ValueError("negatives are mined among all concepts; leave them out of sessions")
        if not self.tasks:
            raise ValueError("batches of no task teach nothing; give at least one")
        if self.negatives and self.mining is None:
            raise ValueError(f"{self.negatives} negatives a query, but no rule that mines them")
        if self.chunk is not None and self.sizes != AS_ANSWERED:
            raise ValueError("a batch in chunks is read at one size; leave out chunk, or sizes")

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)
