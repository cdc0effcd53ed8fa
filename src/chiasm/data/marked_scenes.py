"""Scenes with two marks drawn on them: a question names one mark, never the thing it marks."""

from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from PIL import Image

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.scene import SIZES, Scene, Thing, below, sample_scene
from chiasm.data.scenes import COUNTS
from chiasm.data.visual_prompts import INKS, SHAPES, Mark, Outline, marked, sample_mark

NAME = "scenes-marked"


@dataclass(frozen=True, slots=True)
class MarkedScene:
    """A scene and marks on some of its things, by place."""

    scene: Scene
    marks: tuple[tuple[int, Mark], ...]

    def draw(self) -> Image.Image:
        """The picture with its marks; drawn anew at every call."""
        image = self.scene.draw()
        for place, mark in self.marks:
            image = marked(image, outline(self.scene.things[place]), mark)
        return image

    def __str__(self) -> str:
        said = ", ".join(f"{mark.name} on {self.scene.things[at].name}" for at, mark in self.marks)
        return f"{self.scene}; {said}"


def outline(thing: Thing) -> Outline:
    """The corners of a thing, in pixels; a circle is a polygon of 24."""
    x, y, half = thing.x, thing.y, SIZES[thing.size]
    third = half // 3
    if thing.shape == "circle":
        turns = [2 * pi * at / 24 for at in range(24)]
        return [(x + half * cos(turn), y + half * sin(turn)) for turn in turns]
    if thing.shape == "square":
        return [(x + a * half, y + b * half) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    if thing.shape == "triangle":
        return [(x, y - half), (x + half, y + half), (x - half, y + half)]
    ends = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners: list[tuple[float, float]] = []
    for a, b in ends:
        arm = [(x + a * third, y + b * half), (x + a * third, y + b * third)]
        arm.append((x + a * half, y + b * third))
        corners += arm[::-1] if a == b else arm
    return corners


def load(split: str, *, seed: int = 2312, count: int | None = None) -> Dataset:
    """Of each scene the colour, the shape and the size of a marked thing; another thing bears a
    mark of another shape and another ink. A function of its arguments alone.
    """
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"{seed}/{split}/{number}")
        scene = sample_scene(draw)
        asked = below(draw, len(scene.things))
        other = (asked + 1 + below(draw, len(scene.things) - 1)) % len(scene.things)
        one = sample_mark(draw)
        shapes, inks = ([name for name in all_ if name not in one.name] for all_ in (SHAPES, INKS))
        two = sample_mark(
            draw, shape=shapes[below(draw, len(shapes))], ink=inks[below(draw, len(inks))]
        )
        thing, said = scene.things[asked], f"the thing under the {one.name}"
        turns = (
            Turn(f"what color is {said}?", thing.color),
            Turn(f"what shape is {said}?", thing.shape),
            Turn(f"what size is {said}?", thing.size),
        )
        shown = MarkedScene(scene, ((asked, one), (other, two)))
        examples.append(Example(f"{NAME}/{split}/{number}", (shown,), turns, independent=True))
    return Dataset(NAME, split, tuple(examples))
