"""easy-VQA's pictures with captions that follow from its own questions and answers.

A caption is "a COLOUR SHAPE". Each picture is asked for once ("a red circle" is answered by the
picture) and described once (the picture is answered by "a red circle"). Pictures whose questions
leave the shape or the colour open are left out.
"""

from collections.abc import Iterable
from pathlib import Path

from chiasm.data import easy_vqa
from chiasm.data.example import Dataset, Example, Turn

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
QUESTION = "what is this?"


def load(split: str, folder: Path | None = None) -> Dataset:
    """The split, two examples a captioned picture: drawn, then described."""
    examples: list[Example] = []
    for source in easy_vqa.load(split, folder):
        said = caption(source.turns)
        if said is None:
            continue
        name = source.id.replace("easy-vqa/", "easy-vqa-captions/", 1)
        [picture] = source.images
        asked = Turn(said, picture=picture)
        examples.append(Example(f"{name}/draw", (), (asked,)))
        examples.append(Example(f"{name}/describe", (picture,), (Turn(QUESTION, said),)))
    return Dataset("easy-vqa-captions", split, tuple(examples))


def caption(turns: Iterable[Turn]) -> str | None:
    """What the questions and answers about one shape say it is; None if they leave it open."""
    turns = tuple(turns)
    colour, shape = _only(turns, COLOURS), _only(turns, SHAPES)
    return None if colour is None or shape is None else f"a {colour} {shape}"


def _only(turns: Iterable[Turn], words: tuple[str, ...]) -> str | None:
    """The word that is said to hold, or that alone is not said to fail."""
    possible = set(words)
    for turn in turns:
        asked = turn.question.rstrip("?").split()
        named = [word for word in words if word in asked]
        if turn.answer in words:
            return turn.answer
        if not named:
            continue
        # "what color is the circle?" takes the circle for granted.
        present = turn.answer != "no" if turn.answer in ("yes", "no") else True
        if present != ("not" in asked or "no" in asked):
            return named[0]
        possible.discard(named[0])
    return possible.pop() if len(possible) == 1 else None
