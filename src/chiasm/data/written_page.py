"""Text as pixels: a page on which words, tables and pictures are drawn (PixelWorld)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chiasm.data.example import Picture
from chiasm.data.views import picture
from chiasm.errors import Misuse

INK, PAPER = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Page:
    """How a page is set; the defaults are PixelWorld's (arXiv 2501.19339), in pixels."""

    width: int = 512
    height: int = 256
    """The least; a page grows with what is on it."""
    font: int = 15
    padding: int = 20
    gap: int = 10
    """Between lines."""
    noise: float = 0.0
    """Deviation of the noise on every value, of 255."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        if self.width <= 2 * self.padding + self.font:
            raise Misuse(
                f"a page {self.width} wide has no room between margins of {self.padding}; widen it"
            )

    @classmethod
    def drawn(cls, draw: Random) -> "Page":
        """A page of random width, font, padding and a little noise, as the paper varies them."""
        return cls(
            width=draw.randint(512, 1024),
            font=draw.randint(15, 25),
            padding=draw.randint(5, 30),
            noise=draw.uniform(0.0, 5.0),
            seed=draw.getrandbits(32),
        )

    @property
    def room(self) -> int:
        """Pixels between the margins."""
        return self.width - 2 * self.padding


SMALL_PAGE = Page(width=160, height=64, font=10, padding=4, gap=2)
"""Of a size that a small model reads: a picture of 64 pixels, and a question of one or two lines.
"""


@dataclass(frozen=True, kw_only=True)
class WrittenPage:
    """A page with pictures, then text, then a table, one below the other."""

    text: str = ""
    pictures: tuple[Picture, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """Rows of cells, drawn as a grid with borders."""
    page: Page = Page()

    def draw(self) -> Image.Image:
        """The page in RGB."""
        set_as = self.page
        font = ImageFont.load_default(set_as.font)
        line = ceil(font.getbbox("Áj")[3]) + set_as.gap
        shown = [_fitted(picture(one), set_as.room) for one in self.pictures]
        lines = [*wrapped(self.text, font, set_as.room)]
        inside = sum(one.height + set_as.gap for one in shown) + line * (
            len(lines) + len(self.table)
        )
        size = set_as.width, max(set_as.height, inside + 2 * set_as.padding)
        image = Image.new("RGB", size, PAPER)
        pen, y = ImageDraw.Draw(image), set_as.padding
        for one in shown:
            image.paste(one, (set_as.padding, y))
            y += one.height + set_as.gap
        for words in lines:
            pen.text((set_as.padding, y), words, fill=INK, font=font)
            y += line
        self._draw_table(pen, y, line, font)
        return image if not set_as.noise else _noised(image, set_as)

    def _draw_table(self, pen: ImageDraw.ImageDraw, y: int, line: int, font: "Font") -> None:
        columns = max((len(row) for row in self.table), default=1)
        across = self.page.room // columns
        for row in self.table:
            for at in range(columns):
                x = self.page.padding + at * across
                pen.rectangle((x, y, x + across, y + line), outline=INK)
                cell = row[at] if at < len(row) else ""
                pen.text((x + 4, y + self.page.gap // 2), cell, fill=INK, font=font)
            y += line


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def wrapped(text: str, font: Font, room: int) -> Iterator[str]:
    """Lines no wider than `room`, broken between words; a longer word is broken within."""
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if font.getlength(longer) <= room:
                line = longer
                continue
            if line:
                yield line
            *full, line = _broken(word, font, room)
            yield from full
        yield line


def _broken(word: str, font: Font, room: int) -> Sequence[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > room:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _fitted(image: Image.Image, room: int) -> Image.Image:
    if image.width <= room:
        return image.convert("RGB")
    height = max(1, image.height * room // image.width)
    return image.convert("RGB").resize((room, height), Image.Resampling.LANCZOS)


def _noised(image: Image.Image, page: Page) -> Image.Image:
    drawn = np.random.default_rng(page.seed).normal(0.0, page.noise, (*image.size[::-1], 3))
    return Image.fromarray((np.asarray(image) + drawn).round().clip(0, 255).astype(np.uint8))
