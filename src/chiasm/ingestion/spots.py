"""Words that RapidOCR finds in the pictures of a data set, for models that read them."""

from dataclasses import replace

from chiasm.data.example import Dataset, Example, Picture
from chiasm.data.spotted import Spot, celled
from chiasm.data.views import picture
from chiasm.ingestion.ocr import words_on


def with_spots(data: Dataset) -> Dataset:
    """The same examples, each with the lines that stand in its pictures and their boxes; what an
    example knows already stays.

    Raises:
        Misuse: RapidOCR is not installed.
    """
    return Dataset(data.name, data.split, tuple(_read(example) for example in data))


def _read(example: Example) -> Example:
    if example.spots:
        return example
    return replace(example, spots=tuple(spots_on(one) for one in example.images))


def spots_on(source: Picture) -> tuple[Spot, ...]:
    """The lines of a picture, in reading order."""
    found = words_on(picture(source).convert("RGB"))
    # Boxes come as fractions: a picture of one pixel has the same cells.
    return tuple(Spot(span.text, celled(span.box, (1, 1))) for span in found if span.box)
