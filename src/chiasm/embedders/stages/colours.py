"""A space of colours: a picture's by its pixels, a text's by the colours that it names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from chiasm.data.views import picture
from chiasm.embedders.contents import Content
from chiasm.embedders.stages.vectors import Weightless

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "red": (220, 30, 30),
    "green": (30, 150, 50),
    "blue": (40, 80, 210),
    "yellow": (250, 220, 50),
    "orange": (250, 140, 30),
    "brown": (120, 70, 30),
    "pink": (250, 160, 190),
    "purple": (130, 50, 160),
}
"""English's eleven basic colour terms (Berlin and Kay 1969), each at a typical shade."""
SPREAD = 40.0
"""Of a term around its shade, in steps of 255 a channel."""
SIDE = 32
"""Pixels along each side of what is counted."""
_SPELT = {"gray": "grey", "violet": "purple"}


@dataclass(frozen=True, kw_only=True)
class PictureColours(Weightless):
    """The mean over pixels of softmax_c(-|rgb - shade_c|^2 / 2 spread^2)."""

    @property
    def width(self) -> int:
        return len(COLOURS)

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "PictureColoursReader":
        return PictureColoursReader()


@dataclass(frozen=True, kw_only=True)
class NamedColours(Weightless):
    """How often a text names each colour: zeros where it names none."""

    @property
    def width(self) -> int:
        return len(COLOURS)

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "NamedColoursReader":
        return NamedColoursReader()


@dataclass(frozen=True)
class PictureColoursReader:
    """Contents to shares `[item, colour]`, of all their pictures alike."""

    def read(self, contents: Sequence[Content]) -> Float[Tensor, "item colour"]:
        shades = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
        found = []
        for content in contents:
            pixels = [_pixels(picture(one)) for part in content.parts for one in part.pictures]
            apart = torch.cdist(torch.cat(pixels), shades).square()
            found.append((-apart / (2 * SPREAD**2)).softmax(-1).mean(0))
        return torch.stack(found)


@dataclass(frozen=True)
class NamedColoursReader:
    """Contents to counts `[item, colour]`."""

    def read(self, contents: Sequence[Content]) -> Float[Tensor, "item colour"]:
        rows = []
        for content in contents:
            said = re.findall("[a-z]+", " ".join(part.text.lower() for part in content.parts))
            counts = Counter(_SPELT.get(word, word) for word in said)
            rows.append([float(counts[name]) for name in COLOURS])
        return torch.tensor(rows)


def _pixels(of: Image.Image) -> Float[Tensor, "pixel 3"]:
    small = of.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32)).flatten(0, 1)
