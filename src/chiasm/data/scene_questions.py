"""Questions about a scene whose answers are known, no answer of a kind likelier than the others."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import TypeVar

from chiasm.data.example import Turn
from chiasm.data.scene import APART, COLORS, SHAPES, SIZES, Scene, Thing, below

T = TypeVar("T")
Ask = Callable[[Scene, Random], Turn | None]
"""A question of one kind, or None where the scene allows none."""

_COUNTED = 4
"""Counts asked for run from 0 to one less."""
_RELATIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
)
"""Direction from the second thing to the first, y downwards."""
_ENDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"leftmost": (-1, 0), "rightmost": (1, 0), "topmost": (0, -1), "bottommost": (0, 1)}
)


def _color(scene: Scene, draw: Random) -> Turn | None:
    """What color is the (size) shape? Of one thing that this names alone."""
    named = [(t, phrase) for t in scene.things for phrase in _phrases(scene, t, "shape")]
    if not named:
        return None
    thing, phrase = _one(draw, named)
    return Turn(f"what color is the {phrase}?", thing.color)


def _shape(scene: Scene, draw: Random) -> Turn | None:
    """What shape is the (size) color thing?"""
    named = [(t, phrase) for t in scene.things for phrase in _phrases(scene, t, "color")]
    if not named:
        return None
    thing, phrase = _one(draw, named)
    return Turn(f"what shape is the {phrase} thing?", thing.shape)


def _size(scene: Scene, draw: Random) -> Turn | None:
    """Is the thing small or large?"""
    thing = _balanced(draw, list(scene.things), lambda t: t.size, tuple(SIZES))
    return None if thing is None else Turn(f"what size is the {thing.name}?", thing.size)


def _count(scene: Scene, draw: Random) -> Turn | None:
    """How many things of a shape, a colour or a size are there?"""
    asked = [
        *((f"{shape}s" if shape != "cross" else "crosses", "shape", shape) for shape in SHAPES),
        *((f"{color} things", "color", color) for color in COLORS),
        *((f"{size} things", "size", size) for size in SIZES),
    ]
    counted = [
        (words, sum(getattr(t, field) == value for t in scene.things))
        for words, field, value in asked
    ]
    kept = _balanced(draw, counted, lambda pair: str(pair[1]), tuple(map(str, range(_COUNTED))))
    return None if kept is None else Turn(f"how many {kept[0]} are there?", str(kept[1]))


def _exists(scene: Scene, draw: Random) -> Turn | None:
    """Is there a thing of this colour and shape? Where not, colour or shape is there apart."""
    present = {thing.name for thing in scene.things}
    colors, shapes = {t.color for t in scene.things}, {t.shape for t in scene.things}
    asked = [(f"{c} {s}", f"{c} {s}" in present) for c in sorted(colors) for s in sorted(shapes)]
    return _yes_or_no(draw, [(f"is there a {name}?", there) for name, there in asked])


def _relation(scene: Scene, draw: Random) -> Turn | None:
    """Is one thing left of, right of, above or below another, by a clear margin?"""
    asked: list[tuple[str, bool]] = []
    for first, second in _pairs(scene):
        for words, direction in _RELATIONS.items():
            offset = _along(first, direction) - _along(second, direction)
            if abs(offset) >= APART:
                asked.append((f"is the {first.name} {words} the {second.name}?", offset > 0))
    return _yes_or_no(draw, asked)


def _end(scene: Scene, draw: Random) -> Turn | None:
    """What color is the thing furthest to one side, by a clear margin?"""
    clear: list[tuple[str, Thing]] = []
    for words, direction in _ENDS.items():
        ranked = sorted(scene.things, key=lambda t: -_along(t, direction))
        if _along(ranked[0], direction) - _along(ranked[1], direction) >= APART:
            clear.append((words, ranked[0]))
    if not clear:
        return None
    words, thing = _one(draw, clear)
    return Turn(f"what color is the {words} thing?", thing.color)


def _larger(scene: Scene, draw: Random) -> Turn | None:
    """Is one thing larger than another?"""
    return _yes_or_no(
        draw,
        [
            (f"is the {a.name} larger than the {b.name}?", SIZES[a.size] > SIZES[b.size])
            for a, b in _pairs(scene)
            if a.size != b.size
        ],
    )


def _more(scene: Scene, draw: Random) -> Turn | None:
    """Are there more things of one shape than of another?"""
    counts = {shape: sum(t.shape == shape for t in scene.things) for shape in SHAPES}
    plural = {shape: "crosses" if shape == "cross" else f"{shape}s" for shape in SHAPES}
    return _yes_or_no(
        draw,
        [
            (f"are there more {plural[a]} than {plural[b]}?", counts[a] > counts[b])
            for a in SHAPES
            for b in SHAPES
            if counts[a] != counts[b]
        ],
    )


KINDS: Mapping[str, Ask] = MappingProxyType(
    {
        "color": _color,
        "shape": _shape,
        "size": _size,
        "count": _count,
        "exists": _exists,
        "relation": _relation,
        "end": _end,
        "larger": _larger,
        "more": _more,
    }
)
"""Every kind of question."""
RELATIONS = ("relation", "end", "larger", "more")
"""The kinds that compare things."""


def caption(scene: Scene) -> str:
    """All things, from left to right."""
    ordered = sorted(scene.things, key=lambda t: (t.x, t.y))
    said = [f"a {t.size} {t.name}" for t in ordered]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _phrases(scene: Scene, thing: Thing, field: str) -> Iterator[str]:
    """Ways to name a thing by a field, alone or with its size, that fit no other thing."""
    value, size = getattr(thing, field), thing.size
    alike = [t for t in scene.things if getattr(t, field) == value]
    if len(alike) == 1:
        yield value
    elif sum(t.size == size for t in alike) == 1:
        yield f"{size} {value}"


def _pairs(scene: Scene) -> list[tuple[Thing, Thing]]:
    return [(a, b) for a in scene.things for b in scene.things if a is not b]


def _along(thing: Thing, direction: tuple[int, int]) -> int:
    return thing.x * direction[0] + thing.y * direction[1]


def _one(draw: Random, options: list[T]) -> T:
    return options[below(draw, len(options))]


def _balanced(
    draw: Random, options: list[T], answer: Callable[[T], str], answers: tuple[str, ...]
) -> T | None:
    """An option whose answer was drawn first, evenly; None where the scene has no such option."""
    wanted = _one(draw, list(answers))
    fitting = [option for option in options if answer(option) == wanted]
    return _one(draw, fitting) if fitting else None


def _yes_or_no(draw: Random, asked: list[tuple[str, bool]]) -> Turn | None:
    kept = _balanced(draw, asked, lambda pair: "yes" if pair[1] else "no", ("yes", "no"))
    return None if kept is None else Turn(kept[0], "yes" if kept[1] else "no")
