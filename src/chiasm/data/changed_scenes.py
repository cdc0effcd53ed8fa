"""Scenes before and after a change told in words: what composed retrieval is taught and judged on.

A scene is changed in four ways, so that the picture before it does not tell which of four pictures
is meant, nor do the words tell which scene.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from chiasm.data.scene import APART, COLORS, Scene, Thing, below, sample_scene
from chiasm.data.scene_questions import caption

COUNTS = {"train": 2_000, "test": 250}
"""Scenes before their changes."""
_SEED = 7919


@dataclass(frozen=True, slots=True)
class ChangedScene:
    """A picture, the one that it was before, and what changed."""

    id: str
    before: Scene
    change: str
    picture: Scene
    concept: str
    """Colour and shape of the thing that changed, as it was."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What the changed picture shows."""
        return (caption(self.picture),)


def pairs(split: str, *, seed: int = _SEED, count: int | None = None) -> tuple[ChangedScene, ...]:
    """`count` scenes, each changed in four ways. A function of its arguments alone."""
    found: list[ChangedScene] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"changes/{seed}/{split}/{number}")
        changes: list[tuple[str, Scene, Thing]] = []
        scene = sample_scene(draw)
        while len(changes) < 4:
            scene = sample_scene(draw)
            changes = [*_changes(scene, draw)]
        found += [
            ChangedScene(f"scenes-changes/{split}/{number}/{n}", scene, told, after, thing.name)
            for n, (told, after, thing) in enumerate(changes)
        ]
    return tuple(found)


def _changes(scene: Scene, draw: Random) -> Iterator[tuple[str, Scene, Thing]]:
    """Words, the scene after them, and the thing that they are about."""
    left, *between, right = sorted(scene.things, key=lambda t: t.x)
    others = {t.name for t in scene.things}
    clear = left.x + APART <= between[0].x and between[-1].x + APART <= right.x
    free = [c for c in COLORS if f"{c} {left.shape}" not in others]
    if clear and free:
        color = free[below(draw, len(free))]
        yield (
            f"the leftmost thing turns {color}",
            _instead(scene, left, replace(left, color=color)),
            left,
        )
    swapped = replace(left, color=right.color), replace(right, color=left.color)
    if clear and left.color != right.color and not {t.name for t in swapped} & others:
        first = _instead(scene, left, swapped[0])
        yield (
            "the leftmost and the rightmost thing swap colors",
            _instead(first, right, swapped[1]),
            left,
        )
    large = [t for t in scene.things if t.size == "large"]
    if large:
        thing = large[below(draw, len(large))]
        yield (
            f"the {thing.name} gets smaller",
            _instead(scene, thing, replace(thing, size="small")),
            thing,
        )
    gone = scene.things[below(draw, len(scene.things))]
    rest = tuple(t for t in scene.things if t is not gone)
    yield f"the {gone.name} goes away", replace(scene, things=rest), gone


def _instead(scene: Scene, old: Thing, new: Thing) -> Scene:
    return replace(scene, things=tuple(new if t is old else t for t in scene.things))
