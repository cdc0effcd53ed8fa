"""The prompt: one frozen template for data, evaluation and server, stored with a checkpoint."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

from chiasm.data.example import Point, Turn
from chiasm.errors import ChiasmError, Misuse
from chiasm.stream.identity import Role

Kind = Literal["text", "token", "image", "picture", "point"]
FILE = "template.json"
SHARED_TURN = -1
"""The turn of pieces that several independent turns have in common."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to be tokenised, one special token by name, the place of an image's features, that of a
    picture that the turn's answer draws, or a point at a picture.
    """

    kind: Kind
    value: str
    role: Role
    turn: int
    answer: bool = False
    """Whether the model is taught to say it."""
    image: int | None = None
    point: Point | None = None


@dataclass(frozen=True, kw_only=True)
class Template:
    """What is written around questions and answers. Names in `specials` become one id each, and
    only where the template itself writes them: typed by a user they stay ordinary text.
    """

    name: str
    specials: tuple[str, ...]
    before_answer: str
    """The tag that opens the answer (role TAG); where generation starts."""
    after_answer: str
    """Taught: how the model says that it has finished."""
    start: str = ""
    before_system: str = ""
    system: str = ""
    """The system prompt of examples without their own; if empty, none is written."""
    after_system: str = ""
    before_user: str = ""
    after_user: str = ""
    before_image: str = ""
    """`{}` in it is the image's number in the conversation, from 0."""
    after_image: str = ""
    answer_lead: str = ""
    """Written between tag and answer, as part of the answer."""
    between: str = ""
    """Between an answer's end and the next question."""
    images_first: bool = False
    """Whether images in front of a question stand before `before_user` or after it."""

    def pieces(
        self, images: int, turns: Sequence[Turn], *, answers: bool = True, system: str = ""
    ) -> list[Piece]:
        """A conversation in order; without `answers`, it ends where the last answer is to begin.

        Raises ChiasmError if the places in the turns are not as many as the images.
        """
        if not turns:
            raise Misuse("a prompt needs at least one turn; ask something")
        places = spread(images, turns)
        out = [*self._written(self.start, Role.SYSTEM, 0)]
        if system := system or self.system:
            out += self._written(self.before_system, Role.SYSTEM, 0)
            out.append(Piece("text", system, Role.SYSTEM, 0))
            out += self._written(self.after_system, Role.SYSTEM, 0)
        first = 0
        for number, (turn, at) in enumerate(zip(turns, places, strict=True)):
            out += self._question(turn.question, at, first, number)
            out += self._written(self.after_user, Role.USER, number)
            out += self._written(self.before_answer, Role.TAG, number)
            first += len(at)
            if answers or number < len(turns) - 1:
                out += self._answer(turn, number)
        return out

    def independent_pieces(
        self, images: int, turns: Sequence[Turn], *, answers: bool = True, system: str = ""
    ) -> list[Piece]:
        """What all turns share, up to the last image, once (`SHARED_TURN`); then each turn's rest.

        Shared pieces and one turn's own are together exactly that turn asked alone.
        """
        if any(turn.places for turn in turns):
            raise Misuse("independent questions share their images; leave their places empty")
        out: list[Piece] = []
        for number, turn in enumerate(turns):
            alone = self.pieces(images, (turn,), answers=answers, system=system)
            shared = max((i + 1 for i, p in enumerate(alone) if p.kind == "image"), default=0)
            if number == 0:
                out += [replace(piece, turn=SHARED_TURN) for piece in alone[:shared]]
            out += [replace(piece, turn=number) for piece in alone[shared:]]
        return out

    def save(self, folder: str | Path) -> None:
        """Write the template into a checkpoint folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        Path(folder, FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def open(cls, folder: str | Path) -> "Template":
        """The template of a checkpoint folder; ChiasmError if it is missing or not a template."""
        path = Path(folder, FILE)
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**entries, "specials": tuple(entries["specials"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            known = ", ".join(field.name for field in fields(cls))
            raise ChiasmError(f"{path}: not a template ({error}); it holds {known}") from None

    def _question(
        self, question: str, places: tuple[int, ...], first: int, number: int
    ) -> Iterator[Piece]:
        """The user's side of a turn; its images are numbered from `first`."""
        if number:
            yield from self._written(self.between, Role.USER, number)
        opening = [*self._written(self.before_user, Role.USER, number)]
        front = places.count(0)
        if not self.images_first:
            yield from opening
        for image in range(first, first + front):
            yield from self._image(image, number)
        if self.images_first:
            yield from opening
        cuts = [0, *places[front:], len(question)]
        for offset, (start, end) in enumerate(pairwise(cuts)):
            if offset:
                yield from self._image(first + front + offset - 1, number)
            if question[start:end]:
                yield Piece("text", question[start:end], Role.USER, number)

    def _answer(self, turn: Turn, number: int) -> Iterator[Piece]:
        """The assistant's side of a turn; a picture ends it without a word."""
        lead = "" if turn.picture is not None else self.answer_lead
        cuts = [0, *(point.at for point in turn.points), len(turn.answer)]
        if sorted(cuts) != cuts:
            raise ChiasmError(
                f"points at {tuple(cuts[1:-1])} are not in order inside an answer of "
                f"{len(turn.answer)} characters; sort or correct them"
            )
        for part, (start, end) in enumerate(pairwise(cuts)):
            if part:
                point = turn.points[part - 1]
                yield Piece("point", "<point>", Role.ASSISTANT, number, True, point=point)
            words = turn.answer[start:end] if part else lead + turn.answer[:end]
            if words:
                yield Piece("text", words, Role.ASSISTANT, number, True)
        if turn.picture is not None:
            yield Piece("picture", "<picture>", Role.ASSISTANT, number, True)
        else:
            yield from self._written(self.after_answer, Role.ASSISTANT, number, answer=True)

    def _image(self, image: int, number: int) -> Iterator[Piece]:
        yield from self._written(self.before_image.replace("{}", str(image)), Role.USER, number)
        yield Piece("image", "<image>", Role.USER, number, image=image)
        yield from self._written(self.after_image, Role.USER, number)

    def _written(
        self, text: str, role: Role, turn: int, *, answer: bool = False
    ) -> Iterator[Piece]:
        """The template's own words, its special tokens apart."""
        for kind, part in _parts(text, self.specials):
            yield Piece(kind, part, role, turn, answer)


@lru_cache(maxsize=256)
def _parts(text: str, specials: tuple[str, ...]) -> tuple[tuple[Kind, str], ...]:
    """A template's words and the special tokens among them, in order."""
    names = sorted(specials, key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    return tuple(("token" if part in specials else "text", part) for part in parts if part)


def spread(images: int, turns: Sequence[Turn]) -> list[tuple[int, ...]]:
    """Each turn's places; with none given, all images stand in front of the first question.

    Raises ChiasmError for places that are not in order, or not as many as the images.
    """
    places = [turn.places for turn in turns]
    if not any(places):
        return [(0,) * images, *places[1:]]
    given = sum(map(len, places))
    if given != images:
        raise ChiasmError(f"{given} places for {images} images; give one place an image")
    for turn in turns:
        inside = (0, *turn.places, len(turn.question))
        if sorted(inside) != list(inside):
            raise ChiasmError(
                f"places {turn.places} are not in order inside a question of "
                f"{len(turn.question)} characters; sort or correct them"
            )
    return places
