"""A toy control task: move a hand to the blob of the named colour, then grip.

A picture shows a grey hand and coloured blobs; the word names one colour. In half of the episodes
only the named blob is shown, so that the word need not be read: such steps are easy.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

STEP = 0.1
"""Farthest that the hand moves in a step, in widths of the picture."""
NEAR = 0.05
"""Distance from the blob at which the expert grips."""
COLOURS = 3


@dataclass(frozen=True)
class Episodes:
    """Demonstrations of the expert, with what it saw."""

    images: Float[Tensor, "episode step 3 height width"]
    word: Int[Tensor, " episode"]
    """The named colour, 0 to 2."""
    pose: Float[Tensor, "episode step 6"]
    """Of the planar task only the first two numbers move; in steps of STEP."""
    closed: Float[Tensor, "episode step"]
    crowded: Tensor
    """`[episode]`, whether all blobs are shown."""


def expert(hand: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Straight to the target; pose `[..., 6]` in units of STEP, and 1 where the gripper closes."""
    way = (target - hand) / STEP
    move = way / way.norm(dim=-1, keepdim=True).clamp(min=1.0)
    pose = torch.cat([move, move.new_zeros(*move.shape[:-1], 4)], -1)
    return pose, ((target - hand).norm(dim=-1) < NEAR).to(move.dtype)


def draw(
    hand: Float[Tensor, "sample 2"],
    blobs: Float[Tensor, "sample 3 2"],
    shown: Tensor,
    size: tuple[int, int],
) -> Float[Tensor, "sample 3 height width"]:
    """Soft blobs on black, each in its own channel; the hand in all three."""
    height, width = size
    down = (torch.arange(height) + 0.5) / height
    across = (torch.arange(width) + 0.5) / width
    points = torch.stack([*torch.meshgrid(down, across, indexing="ij")], -1)

    def blob(at: Tensor) -> Tensor:
        far = (points - at[..., None, None, :]).square().sum(-1)
        return (-far / (2 * 0.08**2)).exp()

    return 2 * blob(blobs) * shown[..., None, None] - 2 * blob(hand).unsqueeze(1)


def demonstrate(episodes: int, steps: int, size: tuple[int, int], *, seed: int) -> Episodes:
    """Seeded episodes of the expert."""
    generator = torch.Generator().manual_seed(seed)
    hand = torch.rand(episodes, 2, generator=generator)
    blobs = torch.rand(episodes, COLOURS, 2, generator=generator)
    word = torch.randint(COLOURS, (episodes,), generator=generator)
    crowded = torch.rand(episodes, generator=generator) < 0.5
    named = torch.nn.functional.one_hot(word, COLOURS).bool()
    shown = (named | crowded.unsqueeze(1)).float()
    target = blobs[named]
    images: list[Tensor] = []
    poses: list[Tensor] = []
    grips: list[Tensor] = []
    for _ in range(steps):
        pose, closed = expert(hand, target)
        images.append(draw(hand, blobs, shown, size))
        poses.append(pose)
        grips.append(closed)
        hand = hand + STEP * pose[:, :2]
    return Episodes(
        torch.stack(images, 1), word, torch.stack(poses, 1), torch.stack(grips, 1), crowded
    )
