"""Imitation of poses and grips."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Imitation:
    """Huber(pose) + `grip` BCE(grip) (RoboFlamingo, arXiv 2311.01378), means over steps."""

    grip: float = 0.01

    def judge_actions(
        self,
        pose: Float[Tensor, "*row 6"],
        grip: Float[Tensor, " *row"],
        pose_right: Float[Tensor, "*row 6"],
        closed: Float[Tensor, " *row"],
    ) -> Float[Tensor, ""]:
        """`grip` are logits, `closed` 0 or 1."""
        bits = F.binary_cross_entropy_with_logits(grip, closed)
        return F.huber_loss(pose, pose_right) + self.grip * bits
