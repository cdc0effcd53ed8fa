"""A reader without a language model: it answers with the sentence of the evidence that fits best.

It can only say what the files say, so no document can make it do anything; and it refuses where
nothing fits well enough.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatchmethod

from chiasm.answering.passages import sentences
from chiasm.answering.readers.reader import Said
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
from chiasm.answering.words import content, share
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder, Item, Role
from chiasm.retrieval.similarity import similarity

THRESHOLD = 1.0
"""Fit below which there is no answer."""
WEIGHT = 1.0
"""Of the question's words that a sentence holds, against the cosine."""
_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_EARLIER_NUMBER = re.compile(rf"\b(\d+|{'|'.join(_NUMBER_WORDS)}|no|an?)\s+(?:\w+\s+)?$")


@dataclass(frozen=True)
class Extractive:
    """fit(question, sentence) = cosine + `WEIGHT` share of the question's words in the sentence."""

    embedder: Embedder
    threshold: float = THRESHOLD

    @property
    def name(self) -> str:
        return f"extractive, threshold {self.threshold:g}"

    def ask(self, request: Request, pictures: Sequence[bytes]) -> Said:
        """By words alone; pictures are not looked at.

        Raises:
            Misuse: a plan is asked for, which only a language model writes.
        """
        return Said(text=self._said(request))

    def fits(self, question: str, texts: Sequence[str]) -> list[float]:
        """The fit of each text; a text without words has none and gets -1."""
        held = [text for text in texts if text.strip()]
        if not held:
            return [-1.0] * len(texts)
        asked = self.embedder.embed([Item(text=question)], role=Role.QUERY)
        told = self.embedder.embed([Item(text=text) for text in held], role=Role.DOCUMENT)
        near = iter(similarity(asked, told)[0].tolist())
        wanted = content(question)
        return [
            next(near) + WEIGHT * share(wanted, content(text)) if text.strip() else -1.0
            for text in texts
        ]

    @singledispatchmethod
    def _said(self, request: Request) -> str:
        raise Misuse(f"the extractive reader cannot answer to {request.name!r}; name a --reader")

    @_said.register
    def _(self, request: Read) -> str:
        parts = [
            (number, sentence)
            for number, one in enumerate(request.evidence, 1)
            for sentence in sentences(one.quote)
        ]
        fits = self.fits(request.question, [sentence for _, sentence in parts])
        if not fits or max(fits) < self.threshold:
            return REFUSAL
        number, sentence = parts[fits.index(max(fits))]
        return f"{sentence} [{number}]"

    @_said.register
    def _(self, request: Order) -> str:
        fits = self.fits(request.question, [one.quote for one in request.candidates])
        order = sorted(range(len(fits)), key=lambda place: (-fits[place], place))
        return ", ".join(str(place + 1) for place in order)

    @_said.register
    def _(self, request: Judge) -> str:
        parts = sentences(request.candidate.quote)
        fits = self.fits(request.question, parts)
        return "yes" if fits and max(fits) >= self.threshold else "no"

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
    """How many of a thing words speak of: the number before it, summed over mentions; 1 for a
    mention without a number.
    """
    wanted = content(thing)
    if not wanted:
        return 0
    total = 0
    for sentence in sentences(words):
        text = sentence.casefold()
        for match in re.finditer(_pattern(wanted), text):
            before = _EARLIER_NUMBER.search(text[: match.start()])
            total += 1 if before is None else _value(before[1])
    return total


def _pattern(stems: Sequence[str]) -> str:
    return r"\b" + r"\w*\s+".join(map(re.escape, stems)) + r"(?:s|es|ies|ed|ing|y)?\b"


def _value(word: str) -> int:
    if word.isdigit():
        return int(word)
    if word in _NUMBER_WORDS:
        return _NUMBER_WORDS.index(word)
    return 0 if word == "no" else 1
