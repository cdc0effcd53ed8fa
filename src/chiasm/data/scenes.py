"""Compositional scenes with known answers, generated from a seed: nothing is fetched or stored."""

from collections.abc import Iterable
from random import Random

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.scene import Scene, sample_scene
from chiasm.data.scene_questions import KINDS, caption

SPLITS = ("train", "test")
COUNTS = {"train": 8_000, "test": 1_000}
"""Scenes of a split. An example holds its scene's values; the picture is drawn when it is read."""
_SEED = 2103


def load(
    split: str,
    *,
    name: str = "scenes",
    kinds: Iterable[str] = tuple(KINDS),
    seed: int = _SEED,
    count: int | None = None,
) -> Dataset:
    """`count` scenes and, of each, one question of every kind, independent of one another.

    A function of its arguments alone. Splits draw from different seeds. A scene that allows no
    question of a kind has none of it.
    """
    asked = tuple(kinds)
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"{seed}/{split}/{number}")
        scene = sample_scene(draw)
        turns = tuple(_turns(draw, scene, asked))
        examples.append(Example(f"{name}/{split}/{number}", (scene,), turns, independent=True))
    return Dataset(name, split, tuple(examples))


def captions(split: str, *, seed: int = _SEED, count: int | None = None) -> Dataset:
    """The same scenes, each with the sentence that lists its things from left to right."""
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        scene = sample_scene(Random(f"{seed}/{split}/{number}"))
        turn = Turn("describe the picture.", caption(scene))
        examples.append(Example(f"scenes-captions/{split}/{number}", (scene,), (turn,)))
    return Dataset("scenes-captions", split, tuple(examples))


def _turns(draw: Random, scene: Scene, kinds: tuple[str, ...]) -> Iterable[Turn]:
    """One question a kind; a kind whose drawn answer the scene lacks is passed over."""
    seen: set[str] = set()
    for kind in kinds:
        turn = KINDS[kind](scene, draw)
        if turn is not None and turn.question not in seen:
            seen.add(turn.question)
            yield turn
