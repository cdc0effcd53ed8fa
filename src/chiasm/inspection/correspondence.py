"""C of the law of vision representation: whether features find the same part in another picture.

PCK: a keypoint of the source is matched to the place of the target whose features have the largest
cosine with the features at the keypoint; it counts as found within `reach` of the picture's longer
side of the true place. The paper's pairs are SPair-71k's photographs; here two drawn scenes share a
thing (of one shape and colour, elsewhere, perhaps of another size), whose centre and four edges are
the keypoints. Features are interpolated bilinearly between their tokens' centres.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.data.scene import SIDE, SIZES, Scene, Thing, sample_scene

Point = tuple[float, float]
"""(x, y) as shares of the picture's width and height."""

Maps = Float[Tensor, "picture width row column"]

FINE = 32
"""Places along each side among which a match is sought."""


@dataclass(frozen=True)
class Match:
    """Two pictures, and where the same parts are in each."""

    source: Scene
    target: Scene
    points: Sequence[tuple[Point, Point]]


def keypoints(thing: Thing) -> list[Point]:
    """Its centre, and half-way to its four edges."""
    half = SIZES[thing.size] / 2
    places = ((0, 0), (-half, 0), (half, 0), (0, -half), (0, half))
    return [((thing.x + dx) / SIDE, (thing.y + dy) / SIDE) for dx, dy in places]


def matches(count: int, seed: int = 0) -> list[Match]:
    """Pairs of scenes that share things; a function of its arguments alone."""
    draw = Random(f"correspondence/{seed}")
    found: list[Match] = []
    while len(found) < count:
        source, target = sample_scene(draw), sample_scene(draw)
        there = {thing.name: thing for thing in target.things}
        points = [
            pair
            for thing in source.things
            if thing.name in there
            for pair in zip(keypoints(thing), keypoints(there[thing.name]), strict=True)
        ]
        if points:
            found.append(Match(source, target, points))
    return found


def at_points(maps: Float[Tensor, "width row column"], points: Sequence[Point]) -> Tensor:
    """Features at places `[point, width]`; beyond the outer tokens' centres theirs."""
    grid = torch.tensor([points], dtype=maps.dtype).unsqueeze(0) * 2 - 1
    read = F.grid_sample(maps.unsqueeze(0), grid, padding_mode="border", align_corners=False)
    return read[0, :, 0].T


def lattice(fine: int = FINE) -> list[Point]:
    """The centres of `fine` x `fine` cells, row by row."""
    steps = [(at + 0.5) / fine for at in range(fine)]
    return [(x, y) for y in steps for x in steps]


def found_at(source: Tensor, target: Tensor, points: Sequence[Point]) -> list[Point]:
    """Where each point of the source is found in the target."""
    places = lattice()
    asked = F.normalize(at_points(source.double(), points), dim=-1)
    there = F.normalize(at_points(target.double(), places), dim=-1)
    return [places[at] for at in (asked @ there.T).argmax(1).tolist()]


def correspondence(
    features: Callable[[Sequence[Scene]], Maps], pairs: Sequence[Match], *, reach: float = 0.1
) -> float:
    """C: the share of keypoints found within `reach`, in [0, 1].

    `features` gives each picture's map, channels first.
    """
    sources = features([pair.source for pair in pairs])
    targets = features([pair.target for pair in pairs])
    right, count = 0, 0
    for pair, source, target in zip(pairs, sources, targets, strict=True):
        places = found_at(source, target, [one for one, _ in pair.points])
        for (x, y), (_, (tx, ty)) in zip(places, pair.points, strict=True):
            right += (x - tx) ** 2 + (y - ty) ** 2 <= reach**2
            count += 1
    return right / count


def joined(maps: Sequence[Maps]) -> Maps:
    """Several encoders' maps as one: channels of length one each, on the finest grid."""
    size = max((one.shape[-2:] for one in maps), key=lambda side: side[0] * side[1])
    resized = [F.interpolate(one, size, mode="bilinear", align_corners=False) for one in maps]
    return torch.cat([F.normalize(one, dim=1) for one in resized], 1)
