"""Rectified flow: a straight path between a picture and noise, and the velocity along it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Direction(StrEnum):
    """Where a path leads as its time goes from 0 to 1.

    to-noise: x_t = (1 - t) x + t e, velocity e - x (BAGEL, arXiv 2505.14683). to-picture:
    x_t = (1 - t) e + t x, velocity x - e (LaTtE-Flow, arXiv 2506.06952).
    """

    TO_NOISE = "to-noise"
    TO_PICTURE = "to-picture"

    @property
    def clean(self) -> float:
        """The time at which the path holds the picture."""
        return 0.0 if self is Direction.TO_NOISE else 1.0

    def noise(self, time: float) -> float:
        """The share of noise at a time: 1 where the path is all noise, 0 where it is clean."""
        return abs(time - self.clean)

    def ends(self, picture: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What the path holds at time 0 and at time 1."""
        return (picture, noise) if self is Direction.TO_NOISE else (noise, picture)


class Times(Protocol):
    """How training draws a time for every picture of a batch."""

    def draw(self, count: int) -> Float[Tensor, " picture"]: ...


@dataclass(frozen=True)
class UniformTimes:
    """t ~ U(0, 1) (Liu et al. 2022, arXiv 2209.03003)."""

    def draw(self, count: int) -> Float[Tensor, " picture"]:
        return torch.rand(count, device="cpu")


@dataclass(frozen=True)
class LogitNormalTimes:
    """u = sigma(n), n ~ N(0, 1), shifted: t = shift u / (1 + (shift - 1) u).

    Stable Diffusion 3 (arXiv 2403.03206); a shift above 1 moves mass towards time 1.
    """

    shift: float = 1.0

    def draw(self, count: int) -> Float[Tensor, " picture"]:
        return shifted(torch.randn(count, device="cpu").sigmoid(), self.shift)


@dataclass(frozen=True)
class GroupTimes:
    """One of `groups` equal intervals for the whole batch, each picture's time uniform inside it.

    Over batches, times are uniform (timestep experts, LaTtE-Flow, arXiv 2506.06952): a batch runs
    one group of layers only.
    """

    groups: int

    def draw(self, count: int) -> Float[Tensor, " picture"]:
        group = torch.randint(self.groups, (1,), device="cpu")
        return (group + torch.rand(count, device="cpu")) / self.groups


def shifted(time: Tensor, shift: float) -> Tensor:
    """`shift t / (1 + (shift - 1) t)`: 0 and 1 stay, a shift above 1 moves the rest to 1."""
    return shift * time / (1.0 + (shift - 1.0) * time)


@dataclass(frozen=True)
class Draft:
    """Pictures on their way: what the rows hold, when, and the velocity there."""

    values: Float[Tensor, "picture token channel"]
    time: Float[Tensor, " picture"]
    velocity: Float[Tensor, "picture token channel"]


@dataclass(frozen=True, kw_only=True)
class RectifiedFlow:
    """Mean squared error of a predicted velocity against that of a straight path."""

    direction: Direction = Direction.TO_NOISE
    times: Times = UniformTimes()

    def draft(
        self,
        pictures: Float[Tensor, "picture token channel"],
        *,
        time: Float[Tensor, " picture"] | None = None,
        noise: Float[Tensor, "picture token channel"] | None = None,
    ) -> Draft:
        """Each picture at a time of its own.

        What is not given is drawn from torch's generator of the CPU, whatever the device, so that a
        seeded (or resumed) run sees the same noise everywhere.
        """
        time = self.times.draw(len(pictures)) if time is None else time
        noise = torch.randn(pictures.shape, device="cpu") if noise is None else noise
        time, noise = time.to(pictures.device), noise.to(pictures)
        start, end = Direction(self.direction).ends(pictures, noise)
        at = time.to(pictures).view(-1, *[1] * (pictures.dim() - 1))
        return Draft((1.0 - at) * start + at * end, time, end - start)

    def judge(
        self,
        velocity: Float[Tensor, "row channel"],
        target: Float[Tensor, "row channel"],
        total: int | None = None,
    ) -> Float[Tensor, ""]:
        """Mean over channels and rows; `total` replaces the number of rows (see `NextToken`)."""
        if velocity.shape[0] == 0:
            raise ValueError("no row of the batch is a draft: there is no velocity to learn")
        squares = (velocity.float() - target.float()).square().mean(-1).sum()
        return squares / (velocity.shape[0] if total is None else total)
