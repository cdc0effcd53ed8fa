"""Scenes with a class for every pixel, by several tasks at once: generated, nothing is fetched."""

from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageDraw
from torch import Tensor

from chiasm.data.scene import COLORS, SHAPES, SIDE, Scene, ink, sample_scene
from chiasm.errors import Misuse

CLASSES = {"shape": 1 + len(SHAPES), "color": 1 + len(COLORS), "thing": 2, "edge": 2, "grain": 4}
"""Classes by task; of the first three, class 0 is the ground. `shape`, `thing` and `edge` ask where
things are, `color` what they look like; `grain`, the direction of fine stripes over the whole
picture, has nothing to do with the things."""
_FINE = 4
_PERIOD = 4.0
"""Pixels from stripe to stripe."""


@dataclass(frozen=True)
class TaskImages:
    """Pictures and, by task, the class of every pixel."""

    images: Float[Tensor, "image 3 side side"]
    labels: dict[str, Int[Tensor, "image side side"]]

    def __len__(self) -> int:
        return len(self.images)

    def at(self, chosen: Tensor) -> "TaskImages":
        """The pictures of these numbers."""
        return TaskImages(
            self.images[chosen], {name: of[chosen] for name, of in self.labels.items()}
        )


def scene_tasks(
    split: str,
    count: int,
    *,
    tasks: tuple[str, ...] = tuple(CLASSES),
    side: int = 32,
    contrast: float = 0.15,
    seed: int = 0,
) -> TaskImages:
    """`count` scenes of `side x side` pixels, about zero, with stripes of this contrast.

    A function of its arguments alone.

    Raises:
        Misuse: an unknown task, or a side that does not divide the drawing's.
    """
    unknown = sorted(set(tasks) - set(CLASSES))
    if unknown:
        raise Misuse(f"no task is called {unknown[0]!r}; there are {', '.join(CLASSES)}")
    if SIDE % side:
        raise Misuse(f"scenes of {SIDE} pixels cannot be shown at {side}; give a divisor")
    images, maps = [], {name: [] for name in CLASSES}
    for number in range(count):
        draw = Random(f"scene-tasks/{seed}/{split}/{number}")
        scene = sample_scene(draw)
        small = scene.draw().reduce(SIDE // side) if side < SIDE else scene.draw()
        pixels = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() / 127.5 - 1
        grain = int(draw.random() * CLASSES["grain"])
        images.append(pixels + contrast * _stripes(grain, side, draw.random()))
        color = _classes(scene, side)
        maps["color"].append(color)
        maps["shape"].append(_classes(_by_shape(scene), side))
        maps["thing"].append((color > 0).long())
        maps["edge"].append(_edges(color))
        maps["grain"].append(torch.full((side, side), grain))
    return TaskImages(torch.stack(images), {name: torch.stack(maps[name]) for name in tasks})


def _by_shape(scene: Scene) -> Scene:
    """The scene with each shape in a colour of its own."""
    names: dict[str, str] = dict(zip(SHAPES, COLORS, strict=False))
    return replace(
        scene, things=tuple(replace(thing, color=names[thing.shape]) for thing in scene.things)
    )


def _classes(scene: Scene, side: int) -> Int[Tensor, "side side"]:
    """The number of the colour at the middle of every pixel, 0 on the ground."""
    image = Image.new("RGB", (SIDE * _FINE, SIDE * _FINE))
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        ink(pen, thing, _FINE)
    step = SIDE * _FINE // side
    middle = np.asarray(image)[step // 2 :: step, step // 2 :: step].astype(int)
    found = torch.zeros(side, side, dtype=torch.long)
    for number, color in enumerate(COLORS.values(), 1):
        found[torch.from_numpy((middle == color).all(-1))] = number
    return found


def _edges(classes: Int[Tensor, "side side"]) -> Int[Tensor, "side side"]:
    """1 on pixels of things that have ground above, below, left or right of them."""
    thing = classes > 0
    around = torch.nn.functional.pad(thing, (1, 1, 1, 1), value=True)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return (thing & ~inside).long()


def _stripes(direction: int, side: int, phase: float) -> Float[Tensor, "side side"]:
    """sin of 2 pi (x cos a + y sin a) / period, a = 0, 45, 90 or 135 degrees."""
    angle = torch.tensor(direction * torch.pi / 4)
    at = torch.arange(side).float()
    along = at.unsqueeze(0) * angle.cos() + at.unsqueeze(1) * angle.sin()
    return (2 * torch.pi * (along / _PERIOD + phase)).sin()
