"""Drawn words to find, to read, to spot and to understand: four tasks about the same pictures."""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFont

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.scene import SIDE, below
from chiasm.data.scenes import COUNTS
from chiasm.data.spotted import Spot, boxes, celled, texts, written

NAME = "written-words"
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_WIDTH, _HEIGHT = 18, 11
"""Pixels of a word of three letters in Pillow's fixed font."""
ASKED = {
    "detection": ("where is text?", "find all words."),
    "recognition": ("what is written?", "read all words."),
    "spotting": ("what is written, and where?", "read and find all words."),
    "top": ("which word is topmost?", "read the highest word."),
}
"""Phrasings of each task."""


@dataclass(frozen=True, slots=True)
class Page:
    """Words at the pixels of their top left corners, ordered from top to bottom."""

    words: tuple[tuple[str, int, int], ...]
    ground: int
    ink: int

    def draw(self) -> Image.Image:
        """The picture; drawn anew at every call."""
        image = Image.new("RGB", (SIDE, SIDE), (self.ground,) * 3)
        pen, font = ImageDraw.Draw(image), ImageFont.load_default_imagefont()
        for word, x, y in self.words:
            pen.text((x, y), word, fill=(self.ink,) * 3, font=font)
        return image

    def spots(self) -> tuple[Spot, ...]:
        """Every word and its box."""
        return tuple(
            Spot(word, celled((x, y, x + _WIDTH, y + _HEIGHT), (SIDE, SIDE)))
            for word, x, y in self.words
        )

    def __str__(self) -> str:
        return ", ".join(f"{word} at ({x}, {y})" for word, x, y in self.words)


def sample_page(draw: Random) -> Page:
    """One to three words, no two on one height."""
    count = 1 + below(draw, 3)
    words: list[tuple[str, int, int]] = []
    top = 0
    for left in range(count, 0, -1):
        y = top + below(draw, SIDE - top - left * (_HEIGHT + 1))
        word = "".join(_letter(draw, set_) for set_ in (_CONSONANTS, _VOWELS, _CONSONANTS))
        words.append((word, below(draw, SIDE - _WIDTH), y))
        top = y + _HEIGHT + 1
    return Page(tuple(words), 225 + below(draw, 26), below(draw, 60))


def load(split: str, *, seed: int = 2308, count: int | None = None) -> Dataset:
    """Pages and of each one question a task, in one of its phrasings. A function of its arguments
    alone.
    """
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"{seed}/{split}/{number}")
        page = sample_page(draw)
        spots = page.spots()
        answers = {
            "detection": written(boxes(spots)),
            "recognition": written(texts(spots)),
            "spotting": written(spots),
            "top": page.words[0][0],
        }
        turns = tuple(
            Turn(ASKED[task][below(draw, len(ASKED[task]))], said) for task, said in answers.items()
        )
        name = f"{NAME}/{split}/{number}"
        examples.append(Example(name, (page,), turns, independent=True, spots=(spots,)))
    return Dataset(NAME, split, tuple(examples))


def _letter(draw: Random, letters: str) -> str:
    return letters[below(draw, len(letters))]
