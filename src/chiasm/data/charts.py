"""Bar charts with known contents: how many bars, how high, which the highest. Generated."""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFont

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.scene import COLORS, below

NAME = "charts"
COUNTS = {"train": 4_000, "test": 500}
NAMES = ("apples", "beans", "corn", "figs", "nuts", "oats", "peas", "plums", "rice", "tea")
HIGHEST = 9
"""Values run from 1 to this."""
WIDTH, HEIGHT = 224, 160
_LEFT, _GROUND, _UNIT = 24, 140, 14
"""Pixels: where the axis stands, the height of value 0, and of a unit."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left to right: name, value, colour."""

    bars: tuple[tuple[str, int, str], ...]

    def draw(self) -> Image.Image:
        """The picture; drawn anew at every call."""
        image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        pen, font = ImageDraw.Draw(image), ImageFont.load_default_imagefont()
        pen.line((_LEFT, 8, _LEFT, _GROUND), fill="black")
        pen.line((_LEFT, _GROUND, WIDTH - 4, _GROUND), fill="black")
        for value in range(0, HIGHEST + 1, 3):
            height = _GROUND - value * _UNIT
            pen.line((_LEFT, height, WIDTH - 4, height), fill=(220, 220, 220) if value else "black")
            pen.text((8, height - 6), str(value), fill="black", font=font)
        step = (WIDTH - _LEFT - 8) // len(self.bars)
        for at, (name, value, color) in enumerate(self.bars):
            left = _LEFT + 6 + at * step
            top = _GROUND - value * _UNIT
            pen.rectangle((left, top, left + step - 10, _GROUND), fill=COLORS[color])
            pen.text((left, _GROUND + 4), name, fill="black", font=font)
        return image

    def __str__(self) -> str:
        return ", ".join(f"{color} {name} {value}" for name, value, color in self.bars)


def sample_chart(draw: Random) -> Chart:
    """Three to five bars; no two of one name, value or colour."""
    names, colors, values = list(NAMES), list(COLORS), list(range(1, HIGHEST + 1))
    return Chart(
        tuple(
            (
                names.pop(below(draw, len(names))),
                values.pop(below(draw, len(values))),
                colors.pop(below(draw, len(colors))),
            )
            for _ in range(3 + below(draw, 3))
        )
    )


def load(split: str, *, seed: int = 5101, count: int | None = None) -> Dataset:
    """Charts and four questions of each. A function of its arguments alone."""
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"{seed}/{split}/{number}")
        chart = sample_chart(draw)
        name, value, color = chart.bars[below(draw, len(chart.bars))]
        ordered = sorted(chart.bars, key=lambda bar: bar[1])
        turns = (
            Turn("How many bars does the chart have?", str(len(chart.bars))),
            Turn(f"What is the value of {name}?", str(value)),
            Turn(f"What does the {color} bar stand for?", name),
            Turn("Which bar is the highest?", ordered[-1][0]),
        )
        examples.append(Example(f"{NAME}/{split}/{number}", (chart,), turns, independent=True))
    return Dataset(NAME, split, tuple(examples))
