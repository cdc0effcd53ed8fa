"""Scenes as a library of pictures whose contents are known, and whoever looks at them."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

import numpy as np
import torch
from PIL.Image import Image
from tests.answering.memory import Memory, minilm

from chiasm.answering.readers import Said
from chiasm.answering.requests import HowMany, Request
from chiasm.data.scene import SHAPES, Scene, sample_scene
from chiasm.data.scene_questions import caption
from chiasm.retrieval import Item, Role, Single
from chiasm.retrieval.unit import Kind, Unit

WIDTH = 384
SIDE = 11


@dataclass(frozen=True)
class Thumbnails:
    """Words by MiniLM, pictures by their own pixels, shrunk; the two halves do not meet."""

    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Single:
        rows = torch.zeros(len(items), 2 * WIDTH)
        for place, one in enumerate(items):
            if one.image is None:
                vectors = minilm().embed([one], role=role)
                rows[place, :WIDTH] = vectors.vectors[0]  # type: ignore[union-attr]
            else:
                small = np.asarray(one.image.resize((SIDE, SIDE)), dtype=np.float32).ravel() / 255
                rows[place, WIDTH : WIDTH + small.size] = torch.from_numpy(small - small.mean())
        return Single(vectors=rows)


def png(image: Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@cache
def scenes(count: int = 13) -> tuple[Scene, ...]:
    return tuple(sample_scene(Random(f"answering/{number}")) for number in range(count))


def picture(number: int) -> bytes:
    return png(scenes()[number].draw())


def unit(number: int) -> Unit:
    """A picture with its caption, in one of two folders."""
    folder = ("north", "south")[number % 2]
    return Unit(
        id=f"scene-{number:02}",
        path=f"{folder}/{number:02}.png",
        file="0" * 64,
        kind=Kind.IMAGE,
        text=caption(scenes()[number]),
        picture=picture(number),
    )


def gallery() -> Memory:
    return Memory([unit(number) for number in range(len(scenes()))])


def truth(thing: str) -> dict[str, int]:
    """How many of a shape each picture shows, by unit."""
    [shape] = [one for one in SHAPES if thing in (one, f"{one}s", f"{one}es")]
    return {
        f"scene-{number:02}": sum(one.shape == shape for one in scene.things)
        for number, scene in enumerate(scenes())
    }


@dataclass
class Gold:
    """Knows what every picture shows; the upper bound of all processors."""

    name: str = "gold"
    asked: list[Request] = field(default_factory=list)

    def ask(self, request: Request, pictures: Sequence[bytes]) -> Said:
        self.asked.append(request)
        assert isinstance(request, HowMany)
        [shown] = pictures
        assert hashlib.sha256(shown).hexdigest() == request.pictures[0]
        return Said(text=f"I see {truth(request.thing)[request.beside.unit]}.")
