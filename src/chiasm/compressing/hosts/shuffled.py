"""InternVL, Idefics3 and SmolVLM: patches are shuffled into channels, several a token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.host import IMAGES, Call, Host, Maps, Medium
from chiasm.compressing.hosts.parts import (
    HALF,
    IMAGENET,
    decoder_shape,
    grid_of,
    medium,
    separate_tower,
)


@dataclass(frozen=True)
class Shuffled:
    """Every tile is an item of one unit; the host's own shuffle carries maps, of which a token has
    the mean over its patches.
    """

    side: int
    shuffle: Callable[[Tensor], Tensor]
    """`[tile, patch, channel]` to `[tile, token, patches of it * channel]`, by the host."""
    tiles: Callable[[Tensor], Tensor]
    """The tiles that are run, of the pixels given."""

    def grids(self, call: Call, medium: Medium) -> Sequence[Tensor]:
        return [grid_of(0, self.side, self.side)] * len(self.tiles(call[medium.pixels]))

    def carry(self, maps: Maps, call: Call, medium: Medium) -> list[Tensor]:
        stacked = torch.stack(list(maps))
        shuffled = self.shuffle(stacked)
        return list(shuffled.unflatten(-1, (-1, stacked.shape[-1])).mean(-2).unbind(0))

    def pixels(self, call: Call, medium: Medium) -> Sequence[Tensor] | None:
        return self.tiles(call[medium.pixels]).unbind(0)


def internvl(model: nn.Module) -> Host:
    """InternVL."""
    core: Any = model.model
    vision = core.config.vision_config
    side = vision.image_size[0] // vision.patch_size[0]
    ratio = core.config.downsample_ratio

    def shuffle(maps: Tensor) -> Tensor:
        grid = core.pixel_shuffle(maps.unflatten(1, (side, side)), scale_factor=ratio)
        return grid.flatten(1, 2)

    tower = separate_tower(core.vision_tower, class_tokens=1)
    return Host(
        core=core,
        decoder=core.language_model,
        media=(medium(core.config.image_token_id, IMAGES),),
        tower=tower,
        carrier=Shuffled(side, shuffle, lambda pixels: pixels),
        projector=core.multi_modal_projector,
        shape=decoder_shape(core.language_model, tower, first=1),
        patch=vision.patch_size[0],
        mean=IMAGENET[0],
        std=IMAGENET[1],
    )


def _real(pixels: Tensor) -> Tensor:
    """Tiles that are no padding, as Idefics3 finds them: all zero is padding."""
    tiles = pixels.flatten(0, 1)
    return tiles[(tiles != 0).flatten(1).any(1)]


def idefics3(model: nn.Module) -> Host:
    """Idefics3 and SmolVLM: a prompt's rows of tiles are separated by words."""
    core: Any = model.model
    vision = core.config.vision_config
    side = vision.image_size // vision.patch_size
    tower = separate_tower(core.vision_model, class_tokens=0)
    connector: Any = core.connector
    return Host(
        core=core,
        decoder=core.text_model,
        media=(medium(core.config.image_token_id, IMAGES),),
        tower=tower,
        carrier=Shuffled(
            side, lambda maps: connector.pixel_shuffle(maps, connector.scale_factor), _real
        ),
        projector=connector.modality_projection,
        shape=decoder_shape(core.text_model, tower, first=1),
        patch=vision.patch_size,
        mean=HALF[0],
        std=HALF[1],
    )
