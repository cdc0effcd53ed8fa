"""A reader without a language model: it answers with the sentence of the evidence that fits best.

It can only say what the files say, so no document can make it do anything; and it refuses where
nothing fits well enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, singledispatchmethod
from io import BytesIO

from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from chiasm.answering.numerals import said
from chiasm.answering.passages import sentences
from chiasm.answering.readers.reader import Said
from chiasm.answering.records import Evidence
from chiasm.answering.requests import (
    REFUSAL,
    Describe,
    HowMany,
    Judge,
    Order,
    Plan,
    Read,
    Request,
)
from chiasm.answering.words import content, share, stems
from chiasm.data.media import read_image
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder, Item, Role, looks
from chiasm.retrieval.similarity import similarity

THRESHOLD = 1.24
"""Fit below which there is no answer: measured by `benchmarks/answer_threshold.py`."""
PICTURE_THRESHOLD = 0.61
"""The same for a picture without words: measured by `benchmarks/bare_pictures.py`."""


@dataclass(frozen=True)
class Extractive:
    """fit(question, sentence) = cosine of the two + the share of the question's words that are
    among the sentence's own and its document's title; from -1 to 2. Where no sentence fits, a
    picture without words is named whose look and title do.
    """

    embedder: Embedder
    threshold: float = THRESHOLD
    picture_threshold: float = PICTURE_THRESHOLD

    @property
    def name(self) -> str:
        return f"extractive, threshold {self.threshold:g}, of pictures {self.picture_threshold:g}"

    def ask(self, request: Request, pictures: Sequence[bytes]) -> Said:
        """By words; of pictures only those without words are looked at, and only to read.

        Raises:
            Misuse: a plan is asked for, which only a language model writes.
        """
        text = self._said(request)
        if text == REFUSAL and isinstance(request, Read):
            text = self._seen(request, dict(zip(request.pictures, pictures, strict=True)))
        return Said(text=text)

    def fits(self, question: str, sentences: Sequence[tuple[str, str]]) -> list[float]:
        """The fit of each (title, sentence); none of the sentences may be empty."""
        if not sentences:
            return []
        asked = self.embedder.embed([Item(text=question)], role=Role.QUERY)
        items = [Item(text=sentence) for _, sentence in sentences]
        near = similarity(asked, self.embedder.embed(items, role=Role.DOCUMENT))[0].tolist()
        wanted = content(question)
        return [
            cosine + share(wanted, content(f"{title} {sentence}"))
            for cosine, (title, sentence) in zip(near, sentences, strict=True)
        ]

    def best(self, question: str, of: Evidence) -> float:
        """The fit of the evidence's best sentence, -1 where it has none."""
        return max(
            self.fits(question, [(of.title, one) for one in sentences(of.quote)]), default=-1
        )

    def likeness(
        self, questions: Sequence[str], shown: Sequence[tuple[str, Image]]
    ) -> Float[Tensor, "question picture"]:
        """cosine(question, picture) + cosine(question, title); from -2 to 2."""
        asked = self.embedder.embed([Item(text=one) for one in questions], role=Role.QUERY)
        titles = self.embedder.embed([Item(text=title) for title, _ in shown], role=Role.DOCUMENT)
        seen = self.embedder.embed([Item(image=one) for _, one in shown], role=Role.DOCUMENT)
        return similarity(asked, titles) + similarity(asked, seen)

    @cached_property
    def _looks(self) -> bool:
        return looks(self.embedder)

    def _seen(self, request: Read, pictures: Mapping[str, bytes]) -> str:
        """The title of the picture without words that fits best."""
        bare = [
            (number, one.title, one.picture)
            for number, one in enumerate(request.evidence, 1)
            if one.picture is not None and one.title.strip() and one.quote == one.title
        ]
        if not bare or not self._looks:
            return REFUSAL
        shown = [(title, read_image(BytesIO(pictures[digest]))) for _, title, digest in bare]
        fits = self.likeness([request.question], shown)[0].tolist()
        number, title, _ = bare[fits.index(max(fits))]
        return f"{title} [{number}]" if max(fits) >= self.picture_threshold else REFUSAL

    @singledispatchmethod
    def _said(self, request: Request) -> str:
        raise Misuse(f"the extractive reader cannot answer to {request.name!r}; name a --reader")

    @_said.register
    def _(self, request: Read) -> str:
        parts = [
            (number, one.title, sentence)
            for number, one in enumerate(request.evidence, 1)
            for sentence in sentences(one.quote)
        ]
        fits = self.fits(request.question, [(title, sentence) for _, title, sentence in parts])
        if not fits or max(fits) < self.threshold:
            return REFUSAL
        number, _, sentence = parts[fits.index(max(fits))]
        return f"{sentence} [{number}]"

    @_said.register
    def _(self, request: Order) -> str:
        fits = [self.best(request.question, one) for one in request.candidates]
        order = sorted(range(len(fits)), key=lambda place: (-fits[place], place))
        return ", ".join(str(place + 1) for place in order)

    @_said.register
    def _(self, request: Judge) -> str:
        return "yes" if self.best(request.question, request.candidate) >= self.threshold else "no"

    @_said.register
    def _(self, request: Describe) -> str:
        return request.beside.quote

    @_said.register
    def _(self, request: HowMany) -> str:
        return str(counted(request.thing, request.beside.quote))

    @_said.register
    def _(self, request: Plan) -> str:
        raise Misuse(
            "no sentence pattern fits the question, and the extractive reader writes no plans; "
            "ask 'how many X are there?', give a plan as JSON, or name a --reader"
        )


def counted(thing: str, words: str) -> int:
    """How many of a thing words speak of, summed over its mentions: the number that stands before
    it, with at most one word between; 1 for a mention without a number.
    """
    wanted = stems(thing)
    total = 0
    for sentence in sentences(words):
        found = stems(sentence)
        for at in range(len(found) - len(wanted) + 1 if wanted else 0):
            if found[at : at + len(wanted)] == wanted:
                before = (said(word) for word in reversed(found[max(0, at - 2) : at]))
                total += next((value for value in before if value is not None), 1)
    return total
