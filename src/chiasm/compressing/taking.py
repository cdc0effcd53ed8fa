"""Looks taken at an encoder, whoever's it is: at attention that runs by, and at pixels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.compressing.host import Call, Tower
from chiasm.compression.evidence import BlockKeys, BlockLook, Look, PixelLook
from chiasm.errors import Misuse


def watched(tower: Tower, looks: Sequence[Look]) -> dict[nn.Module, list[Look]]:
    """Which attention modules have to be watched, and for what.

    Raises:
        Misuse: a block that the encoder does not have.
    """
    found: dict[nn.Module, list[Look]] = defaultdict(list)
    blocks = tower.blocks
    for look in looks:
        if isinstance(look, BlockLook | BlockKeys):
            if not -len(blocks) <= look.block < len(blocks):
                raise Misuse(f"block {look.block} is looked at, the encoder has {len(blocks)}")
            found[blocks[tower.full(look.block % len(blocks))]].append(look)
    return found


@torch.no_grad()
def at_attention(
    tower: Tower, block: nn.Module, looks: Sequence[Look], told: Call
) -> Iterator[tuple[Look, Float[Tensor, "patch channel"]]]:
    """Each look at one block's attention, unit by unit, from what the block is told."""
    skipped = tower.class_tokens
    for q, k in tower.queries_keys(block, told["hidden_states"], told):
        for look in looks:
            if isinstance(look, BlockKeys):
                yield look, k[:, skipped:].transpose(0, 1).flatten(1)
            elif isinstance(look, BlockLook):
                asking = q if look.rows_of_all else q[:, :1]
                attention = (asking @ k.mT).float().softmax(-1)
                yield look, look.per_patch(attention, skipped).unsqueeze(-1)


@torch.no_grad()
def at_pixels(
    look: PixelLook,
    pixels: Float[Tensor, "3 height width"],
    mean: Sequence[float],
    std: Sequence[float],
    patch: int,
) -> Float[Tensor, "patch 1"]:
    """A look at a unit's pixels, of which a mean was taken and by a deviation divided."""
    least, scale = (torch.tensor(each, device=pixels.device).view(3, 1, 1) for each in (mean, std))
    shown = (pixels.float() * scale + least).clamp(0, 1)
    return look.of_pixels(shown, patch).unsqueeze(-1)
