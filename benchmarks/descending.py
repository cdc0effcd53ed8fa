"""The one way in which the embedders' projectors are taught: AdamW, its rate over one cycle."""

from collections.abc import Callable

import torch
from torch import nn


def descend(
    module: nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    *,
    steps: int,
    rate: float,
    weight_decay: float,
) -> None:
    """Teach `module` by the loss of each step; afterwards it is in evaluation mode."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=max(1, steps), pct_start=0.1
    )
    for step in range(steps):
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    module.eval()
