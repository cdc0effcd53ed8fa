"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: any resolution, 2 x 2 patches a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.host import IMAGES, VIDEOS, Call, Host, Maps, Medium
from chiasm.compressing.hosts.parts import CLIP, HALF, decoder_shape, medium
from chiasm.compressing.towers import PackedTower

GRIDS = {
    "get_image_features": "image_grid_thw",
    "get_video_features": "video_grid_thw",
}


@dataclass(frozen=True)
class Merged:
    """Tokens are means of a map over `merge` x `merge` patches, which lie together in the tower's
    sequence; frames are units. With a `window` the tower runs those groups window by window.
    """

    merge: int
    window: int | None
    """Side of a window in tokens."""

    def _frames(self, call: Call, medium: Medium) -> list[tuple[int, int, int]]:
        return [(int(t), int(h), int(w)) for t, h, w in call[GRIDS[medium.features]].tolist()]

    def _order(self, rows: int, columns: int) -> Tensor:
        """Raster numbers of a frame's tokens in the order in which the tower runs them."""
        raster = torch.arange(rows * columns).view(rows, columns)
        if self.window is None:
            return raster.flatten()
        side = self.window
        return torch.cat(
            [
                raster[y : y + side, x : x + side].flatten()
                for y in range(0, rows, side)
                for x in range(0, columns, side)
            ]
        )

    def grids(self, call: Call, medium: Medium) -> Sequence[Tensor]:
        found = []
        for frames, height, width in self._frames(call, medium):
            m = self.merge
            rows, columns = height // m, width // m
            order = self._order(rows, columns)
            y, x = (order // columns) * m, (order % columns) * m
            inner = torch.arange(m)
            y = (y[:, None, None] + inner[:, None]).expand(-1, m, m).flatten()
            x = (x[:, None, None] + inner).expand(-1, m, m).flatten()
            found += [torch.stack([torch.full_like(y, t), y, x], -1) for t in range(frames)]
        return found

    def carry(self, maps: Maps, call: Call, medium: Medium) -> list[Tensor]:
        units, found = iter(maps), []
        for frames, height, width in self._frames(call, medium):
            order = self._order(height // self.merge, width // self.merge)
            back = order.argsort()
            means = [
                next(units).unflatten(0, (-1, self.merge**2)).mean(1)[back.to(maps[0].device)]
                for _ in range(frames)
            ]
            found.append(torch.cat(means))
        return found

    def pixels(self, call: Call, medium: Medium) -> Sequence[Tensor] | None:
        return None


def _host(model: nn.Module, *, windowed: bool, added: int, normalised: tuple[Any, Any]) -> Host:
    core: Any = model.model
    vision = core.config.vision_config
    tower = PackedTower(core.visual, windowed)
    side = None
    if windowed:
        side = vision.window_size // vision.spatial_merge_size // vision.patch_size
    return Host(
        core=core,
        decoder=core.language_model,
        media=(
            medium(core.config.image_token_id, IMAGES),
            medium(core.config.video_token_id, VIDEOS),
        ),
        tower=tower,
        carrier=Merged(vision.spatial_merge_size, side),
        projector=None,
        shape=decoder_shape(core.language_model, tower, first=max(1, added)),
        patch=vision.patch_size,
        mean=normalised[0],
        std=normalised[1],
    )


def qwen2_vl(model: nn.Module) -> Host:
    """Qwen2-VL."""
    return _host(model, windowed=False, added=0, normalised=CLIP)


def qwen2_5_vl(model: nn.Module) -> Host:
    """Qwen2.5-VL: most blocks of its tower see windows only."""
    return _host(model, windowed=True, added=0, normalised=CLIP)


def qwen3_vl(model: nn.Module) -> Host:
    """Qwen3-VL: its first layers are followed by further features (DeepStack)."""
    core: Any = model.model
    added = len(core.config.vision_config.deepstack_visual_indexes)
    return _host(model, windowed=False, added=added, normalised=HALF)
