"""Which visual tokens see each other: those within a window of their grid."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from chiasm.errors import Misuse


def neighbours(place: Int[Tensor, "token 2"], window: int) -> Bool[Tensor, "token token"]:
    """True where max(|row - row'|, |column - column'|) <= (window - 1) / 2: in both directions,
    whatever the reading order (YOPO, arXiv 2410.06169). Tokens without a place (-1) see themselves.
    """
    if window < 1 or not window % 2:
        raise Misuse(f"a window of {window} tokens has no middle; give an odd number from 1 on")
    apart = (place.unsqueeze(0) - place.unsqueeze(1)).abs().amax(-1)
    placed = (place >= 0).all(-1)
    near = (apart <= window // 2) & placed & placed.unsqueeze(1)
    return near | torch.eye(len(place), dtype=torch.bool, device=place.device)


def neighbour_pairs(rows: int, columns: int, window: int) -> int:
    """How many pairs that is on a full grid: the product over both axes of
    sum_i min(i + r, n - 1) - max(i - r, 0) + 1, r = (window - 1) / 2.
    """
    reach = window // 2

    def along(length: int) -> int:
        return sum(min(i + reach, length - 1) - max(i - reach, 0) + 1 for i in range(length))

    return along(rows) * along(columns)
