"""Fixed sine positions on a grid."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sine_positions(rows: int, columns: int, width: int) -> Float[Tensor, "token width"]:
    """Fixed 2-D sine positions: a quarter of the width each for sin and cos of y and of x."""
    frequencies = 10_000.0 ** (-torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float32),
        torch.arange(columns, dtype=torch.float32),
        indexing="ij",
    )
    angles = [axis.reshape(-1, 1) * frequencies for axis in (y, x)]
    table = torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=1)
    return nn.functional.pad(table, (0, width - table.shape[1]))
