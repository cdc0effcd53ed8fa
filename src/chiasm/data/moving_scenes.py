"""Films of scenes in which one thing moves: what embedders of video are taught and judged on.

Every film is there forwards and backwards, so that no single frame tells the two apart.
"""

from dataclasses import dataclass, replace
from random import Random

from chiasm.data.scene import SIDE, SIZES, Scene, Thing, below, sample_scene
from chiasm.data.scene_questions import caption

COUNTS = {"train": 4_000, "test": 500}
"""Films, before they are turned round."""
FRAMES = 4
STEP = 4
"""Pixels from frame to frame."""
_SEED = 6007
_WAYS = {"left": ("right", -1, 0), "up": ("down", 0, -1)}
"""The way back, and the direction."""


@dataclass(frozen=True, slots=True)
class Film:
    """Frames of one scene, and what happens in it."""

    id: str
    frames: tuple[Scene, ...]
    told: str
    concept: str
    """Colour and shape of the thing that moves."""

    @property
    def picture(self) -> Scene:
        """Its first frame."""
        return self.frames[0]

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.told,)


def pairs(split: str, *, seed: int = _SEED, count: int | None = None) -> tuple[Film, ...]:
    """`count` films and their reverses. A function of its arguments alone."""
    found: list[Film] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"films/{seed}/{split}/{number}")
        way = tuple(_WAYS)[below(draw, len(_WAYS))]
        back, *direction = _WAYS[way]
        moved = None
        while moved is None:
            moved = _moved(sample_scene(draw), *direction)
        frames, thing = moved
        still = [t for t in frames[0].things if t.name != thing.name]
        beside = caption(replace(frames[0], things=tuple(still)))
        for turned, (said, shown) in enumerate(((way, frames), (back, frames[::-1]))):
            name = f"scenes-films/{split}/{number}/{turned}"
            told = f"the {thing.name} moves {said} beside {beside}"
            found.append(Film(name, shown, told, thing.name))
    return tuple(found)


def _moved(scene: Scene, x: int, y: int) -> tuple[tuple[Scene, ...], Thing] | None:
    """The frames in which the first thing with a free way takes it; None where none has."""
    for thing in scene.things:
        steps = [
            replace(thing, x=thing.x + x * STEP * n, y=thing.y + y * STEP * n)
            for n in range(FRAMES)
        ]
        others = tuple(t for t in scene.things if t is not thing)
        if all(_fits(one, others) for one in steps):
            return tuple(replace(scene, things=(one, *others)) for one in steps), thing
    return None


def _fits(thing: Thing, others: tuple[Thing, ...]) -> bool:
    half = SIZES[thing.size]
    inside = all(half < at < SIDE - half for at in (thing.x, thing.y))
    return inside and all(
        max(abs(thing.x - t.x), abs(thing.y - t.y)) > half + SIZES[t.size] for t in others
    )
