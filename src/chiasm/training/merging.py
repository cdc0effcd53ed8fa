"""Weights of two models taught apart from one start, merged into one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from chiasm.errors import Misuse


def merged(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """theta = share theta_1 + (1 - share) theta_2, tensor by tensor (UnIVAL, arXiv 2307.16184).

    What only one of the two has (a head of its own task) is kept as it is; the release scales it.
    A share of 1 or 0 gives that model's values exactly. Both should come from one start: models
    of different starts lie in different basins, and their mean in none.

    Raises Misuse for a share outside [0, 1], tensors of one name and two shapes, or models that
    have no name in common.
    """
    if not 0.0 <= share <= 1.0:
        raise Misuse(f"a share of {share} merges nothing; give one between 0 and 1")
    common = one.keys() & other.keys()
    if not common:
        raise Misuse("the two models have no tensor in common; merge models of one system")
    for name in sorted(common):
        if one[name].shape != other[name].shape:
            raise Misuse(
                f"{name} is {tuple(one[name].shape)} in one model and {tuple(other[name].shape)} "
                "in the other; merge models of equal sizes"
            )
    result = {name: tensor.clone() for name, tensor in {**other, **one}.items()}
    for name in common:
        first, second = one[name], other[name]
        if share == 0.0:
            result[name] = second.clone()
        elif share < 1.0 and first.is_floating_point():
            # Lerp is exact at equal ends, so that what neither changed stays as it is.
            result[name] = torch.lerp(second, first, share)
    return result
