"""What the families' hosts share."""

from typing import Any

import torch
from torch import Tensor

from chiasm.compressing.host import Medium
from chiasm.compressing.towers import SeparateTower
from chiasm.compression.method import HostShape

CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISED = {"clip_vision_model": CLIP, "siglip_vision_model": HALF}
"""Mean and deviation of the pixels that each tower was trained on."""


def grid_of(unit: int, rows: int, columns: int) -> Tensor:
    """`[patch, 3]`: unit, row and column in raster order."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.full_like(y, unit), y, x], -1).flatten(0, 1)


def separate_tower(tower: Any, *, class_tokens: int) -> SeparateTower:
    """The tower's attention modules, wherever this version keeps them."""
    inner = getattr(tower, "vision_model", tower)
    encoder = inner.encoder
    layers = encoder.layers if hasattr(encoder, "layers") else encoder.layer
    blocks = [
        block.self_attn if hasattr(block, "self_attn") else block.attention for block in layers
    ]
    return SeparateTower(blocks, class_tokens)


def decoder_shape(decoder: Any, tower: Any, *, first: int) -> HostShape:
    """The shape that methods are told."""
    return HostShape(
        depth=len(decoder.layers),
        first=first,
        blocks=len(tower.blocks),
        class_token=tower.class_tokens > 0,
    )


def medium(token: int, named: tuple[str, str]) -> Medium:
    """A kind of placeholder."""
    return Medium(token=token, features=named[0], pixels=named[1])
