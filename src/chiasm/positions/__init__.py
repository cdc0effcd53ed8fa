"""Part of question 4: where does a row stand? One verb, `number`."""

from chiasm.positions.apart import Apart
from chiasm.positions.by_block import OnePerBlock
from chiasm.positions.fractional import Fractional
from chiasm.positions.grid import Grid
from chiasm.positions.multimodal_rotary import MultimodalRotary
from chiasm.positions.sequential import Sequential
from chiasm.positions.words_alone import WordsAlone

__all__ = [
    "Apart",
    "Fractional",
    "Grid",
    "MultimodalRotary",
    "OnePerBlock",
    "Sequential",
    "WordsAlone",
]
