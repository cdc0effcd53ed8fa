"""Film cut where its picture changes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from chiasm.ingestion.streams import Broken

CHANGE = 0.12
"""Mean difference of two small pictures, in [0, 1], from which on they show different scenes."""
SHORTEST, LONGEST = 1.5, 30.0
"""Seconds of a scene; one that stays longer is cut, so that its words can be found apart."""
_SMALL = 32


@dataclass(frozen=True, kw_only=True)
class Scene:
    start: float
    end: float
    picture: Image.Image
    """Its most typical frame."""

    def holds(self, second: float, *, last: bool) -> bool:
        """Whether a moment lies in it; the last scene keeps what comes after the picture."""
        return self.start <= second and (second < self.end or last)


def scenes(frames: Iterable[tuple[float, Image.Image]], length: float) -> tuple[list[Scene], str]:
    """Scenes in order, each up to the start of the next; and what broke the film off, if
    anything. The last scene lasts to the end of a film of `length` seconds.

    A scene ends at a frame whose small grey-and-colour picture differs from the mean of the scene's
    by at least `CHANGE`.
    """
    found: list[Scene] = []
    held: list[tuple[float, Image.Image, np.ndarray]] = []
    broken, end = "", 0.0
    try:
        for second, image in frames:
            small = _small(image)
            end = second
            if held:
                lasted = second - held[0][0]
                mean = np.mean([one[2] for one in held], axis=0)
                changed = float(np.abs(small - mean).mean()) >= CHANGE
                if (changed and lasted >= SHORTEST) or lasted >= LONGEST:
                    found.append(_scene(held, second))
                    held = []
            held.append((second, image, small))
    except Broken as error:
        broken = str(error)
    if held:
        found.append(_scene(held, end if broken else max(end, length)))
    return found, broken


def _scene(held: list[tuple[float, Image.Image, np.ndarray]], end: float) -> Scene:
    """The frame nearest to the scene's mean stands for it."""
    mean = np.mean([one[2] for one in held], axis=0)
    typical = min(held, key=lambda one: float(np.abs(one[2] - mean).mean()))
    return Scene(start=held[0][0], end=end, picture=typical[1])


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((_SMALL, _SMALL), Image.Resampling.BOX), np.float32) / 255
