"""k-means++ whose clusters depend on what the points are, not on their order."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def clusters(
    points: Float[Tensor, "point width"], count: int, *, rounds: int, seed: int
) -> Int[Tensor, " point"]:
    """For each point the number of its cluster; `count` of them, or as many as there are points.

    Equal points are one point of greater weight, and points are taken in lexicographic order: so
    equal points share a cluster, and any permutation of the points gives the same clusters. The
    first centre is drawn by weight, each further one with chance in proportion to weight times
    squared distance to the nearest so far (k-means++). Then `rounds` of Lloyd's steps: nearest
    centre, weighted mean of members. A cluster that has lost all its members gets the point that
    is farthest from its own centre.
    """
    kinds, kind, sizes = points.detach().unique(dim=0, return_inverse=True, return_counts=True)
    weights = sizes.to(kinds)
    count = min(count, len(kinds))
    drawn = torch.rand(count, generator=torch.Generator().manual_seed(seed))
    centres = _spread(kinds, weights, drawn.to(kinds))
    found = _nearest(kinds, centres)
    for _ in range(rounds):
        centres = _means(kinds, weights, found, centres)
        found = _nearest(kinds, centres)
    return _filled(kinds, weights, found, centres)[kind]


def _spread(points: Tensor, weights: Tensor, drawn: Tensor) -> Tensor:
    """The first centres; `drawn` are uniform numbers in [0, 1), one a centre."""
    chosen: list[Tensor] = []
    squares = points.square().sum(-1)
    far, chances = torch.full_like(weights, torch.inf), weights
    for number in drawn:
        ends = chances.cumsum(0)
        # The first point whose share of the line ends behind the number: never one of no chance.
        at = torch.searchsorted(ends, number * ends[-1], right=True).clamp(max=len(points) - 1)
        chosen.append(at)
        far = torch.minimum(far, squares + squares[at] - 2 * points @ points[at]).clamp(min=0)
        far[at] = 0
        chances = far * weights
    return points[torch.stack(chosen)]


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """The nearest centre of each point; |p - c|^2 less |p|^2, which is the same for all centres."""
    return (centres.square().sum(-1) - 2 * points @ centres.T).argmin(-1)


def _means(points: Tensor, weights: Tensor, found: Tensor, centres: Tensor) -> Tensor:
    """Weighted means of the members; a centre without members stays where it is."""
    parts = points * weights.unsqueeze(-1)
    sums = torch.zeros_like(centres).index_add(0, found, parts)
    sizes = weights.new_zeros(len(centres), 1).index_add(0, found, weights.unsqueeze(-1))
    return torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)


def _filled(points: Tensor, weights: Tensor, found: Tensor, centres: Tensor) -> Tensor:
    """No cluster is left empty: there are as many different points as clusters, or more."""
    for empty in (found.bincount(minlength=len(centres)) == 0).nonzero().flatten().tolist():
        centres = _means(points, weights, found, centres)
        far = (points - centres[found]).square().sum(-1)
        alone = found.bincount(minlength=len(centres))[found] == 1
        found = found.clone()
        found[far.masked_fill(alone, -1).argmax()] = empty
    return found
