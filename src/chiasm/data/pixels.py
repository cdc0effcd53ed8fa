"""Pictures to tensors: one frozen recipe, Pillow and numpy only, equal to transformers' own."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from chiasm.errors import Misuse

Triple = tuple[float, float, float]
Size = int | tuple[int, int]
Fit = Literal["squash", "pad", "native", "shortest-crop"]

RESAMPLING = {filter.name.lower(): filter for filter in Image.Resampling}
_LARGEST_STEP = 2**26
"""Pixels of an intermediate picture above which the slower-growing, nearly equal way is taken."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How an RGB picture becomes the encoder's input, `(value / 255 - mean) / std` a channel.

    - `squash`: resized to the asked size, proportions ignored;
    - `pad`: first padded to a square with the mean colour, centred, then resized (LLaVA);
    - `shortest-crop`: resized so that the shorter side is `side / crop_fraction`, then the centre
      `side` x `side` is cut out (CLIP);
    - `native`: resized to the pair the encoder's geometry asks for, or left alone if it asks none.
    """

    mean: Triple
    std: Triple
    fit: Fit = "squash"
    resample: str = "bicubic"
    """A Pillow filter's name in lower case."""
    size: tuple[int, int] | None = None
    """(height, width) in pixels used when `prepare` is given none."""
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        for field, known in (("fit", get_args(Fit)), ("resample", tuple(RESAMPLING))):
            if getattr(self, field) not in known:
                raise Misuse(f"{field} is one of {', '.join(known)}, not {getattr(self, field)!r}")
        if min(self.std) <= 0 or not 0 < self.crop_fraction <= 1:
            raise Misuse(
                f"std {self.std} must be above 0 and crop_fraction {self.crop_fraction} in (0, 1]"
            )

    def prepare(
        self, image: Image.Image, size: Size | None = None
    ) -> Float[Tensor, "3 height width"]:
        """The picture as float32; `size` is (height, width), or one number for a square.

        Raises Misuse if the size is missing (all but `native`) or not square (`pad`,
        `shortest-crop`).
        """
        if image.mode != "RGB":
            image = image.convert("RGB")
        height, width = self.output_size((image.height, image.width), size)
        if self.fit == "shortest-crop":
            image = self._crop(image, height)
        elif self.fit == "pad":
            image = self._pad(image, height)
        elif image.size != (width, height) or self.fit == "squash":
            image = image.resize((width, height), self._filter)
        values = np.asarray(image, dtype=np.float32) / np.float32(255)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def output_size(self, source: tuple[int, int], size: Size | None = None) -> tuple[int, int]:
        """(height, width) that `prepare` gives for a picture of `source` (height, width)."""
        wanted = self.size if size is None else (size, size) if isinstance(size, int) else size
        if wanted is None:
            if self.fit == "native":
                return source
            raise Misuse(f"fit {self.fit!r} needs a size; pass one to prepare or set Pixels.size")
        height, width = wanted
        if min(height, width) < 1:
            raise Misuse(f"size {height} x {width} holds no pixels; ask for at least 1 x 1")
        if height != width and self.fit in ("pad", "shortest-crop"):
            raise Misuse(f"fit {self.fit!r} gives squares, not {height} x {width}; use 'squash'")
        return height, width

    @classmethod
    def from_transformers(cls, folder: str | Path) -> "Pixels":
        """The recipe in a checkpoint folder's preprocessor_config.json (or processor_config.json).

        Raises ChiasmError, naming the file and the entry, for a recipe this class cannot express.
        """
        # Deferred: the reader builds what this module defines.
        from chiasm.data.preprocessor_config import read_pixels

        return read_pixels(Path(folder))

    @property
    def _filter(self) -> Image.Resampling:
        return RESAMPLING[self.resample]

    def _crop(self, image: Image.Image, side: int) -> Image.Image:
        width, height = image.size
        short = round(side / self.crop_fraction)
        long = int(short * max(width, height) / min(width, height))
        new_width, new_height = (short, long) if width <= height else (long, short)
        left, top = (new_width - side) // 2, (new_height - side) // 2
        if short * long <= _LARGEST_STEP:
            image = image.resize((new_width, new_height), self._filter)
            return image.crop((left, top, left + side, top + side))
        across, down = width / new_width, height / new_height
        box = (left * across, top * down, (left + side) * across, (top + side) * down)
        return image.resize((side, side), self._filter, box=box)

    def _pad(self, image: Image.Image, side: int) -> Image.Image:
        long = max(image.size)
        if long**2 > _LARGEST_STEP:
            scale = side / long
            shape = (math.ceil(image.width * scale), math.ceil(image.height * scale))
            image, long = image.resize(shape, self._filter), side
        square = Image.new("RGB", (long, long), tuple(int(255 * value) for value in self.mean))
        square.paste(image, ((long - image.width) // 2, (long - image.height) // 2))
        return square.resize((side, side), self._filter)


CLIP = Pixels(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    fit="shortest-crop",
)
SIGLIP = Pixels(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
IMAGENET = Pixels(
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    fit="shortest-crop",
    resample="bilinear",
    crop_fraction=0.875,
)
LLAVA = Pixels(mean=CLIP.mean, std=CLIP.std, fit="pad")
