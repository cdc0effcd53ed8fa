"""A data set asked in pixels: every question is written on a page, and its pictures with it."""

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.written_page import Page, WrittenPage

INSTRUCTION = "Answer the question in the picture."
STEPS = "Answer the question in the picture. Think step by step."


def as_pixels(
    data: Dataset, page: Page | None = None, *, instruction: str = INSTRUCTION
) -> Dataset:
    """The same questions and answers, each an example of its own: one page that shows the pictures
    and the question, and a short instruction, the same for all (PixelWorld, arXiv 2501.19339).

    Ids are the examples' with the turn's number, so that answers pair with those to the text.
    """
    examples = [
        as_page(example, number, page or Page(), instruction)
        for example in data
        for number in range(len(example.turns))
    ]
    return Dataset(f"{data.name}-pixels", data.split, tuple(examples))


def as_page(example: Example, number: int, page: Page, instruction: str) -> Example:
    """One turn of an example as a page."""
    turn = example.turns[number]
    written = WrittenPage(text=turn.question, pictures=example.images, page=page)
    return Example(f"{example.id}/{number}", (written,), (Turn(instruction, turn.answer),))
