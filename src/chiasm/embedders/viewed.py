"""Views of a picture, for losses within one modality (SLIP, arXiv 2112.12750)."""

import random
from dataclasses import dataclass

from PIL import Image, ImageOps

from chiasm.data.example import Picture
from chiasm.data.views import picture

LEAST = 0.4
"""Of a picture's area, what a view shows at least."""
GREY = 0.2
"""Share of the views without colour."""


@dataclass(frozen=True)
class View:
    """A rectangle of the picture, half of the time mirrored, now and then grey.

    The same picture and seed give the same view.
    """

    source: Picture
    seed: str

    def draw(self) -> Image.Image:
        drawn = random.Random(self.seed)
        whole = picture(self.source)
        side = drawn.uniform(LEAST, 1.0) ** 0.5
        width, height = (max(1, round(side * length)) for length in whole.size)
        left = drawn.randint(0, whole.width - width)
        top = drawn.randint(0, whole.height - height)
        view = whole.crop((left, top, left + width, top + height))
        if drawn.random() < 0.5:
            view = ImageOps.mirror(view)
        return view.convert("L").convert("RGB") if drawn.random() < GREY else view
