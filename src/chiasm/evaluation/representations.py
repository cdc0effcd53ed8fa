"""How alike two spaces of the same items are, before anything joins them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse


def linear_cka(x: Float[Tensor, "item width"], y: Float[Tensor, "item other"]) -> float:
    """|X^T Y|^2 / (|X^T X| |Y^T Y|), Frobenius norms of centred columns (arXiv 1905.00414).

    In [0, 1]; rotations and a common scale of either space change nothing.
    """
    _check_items(x, y)
    x, y = (one.double() - one.double().mean(0) for one in (x, y))
    own = (x.T @ x).norm() * (y.T @ y).norm()
    if not own:
        raise Misuse("all items of a space are alike; CKA needs items that differ")
    return float((x.T @ y).norm().square() / own)


def mutual_knn(
    x: Float[Tensor, "item width"], y: Float[Tensor, "item other"], k: int | None = None
) -> float:
    """Mean share of an item's k nearest others, by cosine, that both spaces agree on.

    `k` is by default the Rice rule's 2 n^(1/3) (STRUCTURE, arXiv 2506.16895), rounded.
    """
    _check_items(x, y)
    k = min(len(x) - 1, round(2 * len(x) ** (1 / 3))) if k is None else k
    if not 0 < k < len(x):
        raise Misuse(f"{k} nearest of {len(x)} items; give 1 to {len(x) - 1}")
    near = [_neighbours(one, k) for one in (x, y)]
    return float((near[0] & near[1]).sum(-1).double().mean() / k)


def _neighbours(x: Tensor, k: int) -> Tensor:
    unit = F.normalize(x.double(), dim=-1)
    cosines = (unit @ unit.T).fill_diagonal_(-2.0)
    return torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, cosines.topk(k).indices, True)


def _check_items(x: Tensor, y: Tensor) -> None:
    if len(x) != len(y) or len(x) < 2:
        raise Misuse(f"{len(x)} and {len(y)} items; give the same two or more in both spaces")
