"""LLaVA, LLaVA-NeXT and LLaVA-OneVision: a CLIP or SigLIP tower, tokens of one patch each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.host import IMAGES, VIDEOS, Call, Host, Maps, Medium
from chiasm.compressing.hosts.parts import (
    NORMALISED,
    decoder_shape,
    grid_of,
    medium,
    separate_tower,
)
from chiasm.errors import Misuse


@dataclass(frozen=True)
class OneGrid:
    """LLaVA: an image is one unit, its patches are its tokens."""

    side: int

    def grids(self, call: Call, medium: Medium) -> Sequence[Tensor]:
        return [grid_of(0, self.side, self.side)] * call[medium.pixels].shape[0]

    def carry(self, maps: Maps, call: Call, medium: Medium) -> list[Tensor]:
        return list(maps)

    def pixels(self, call: Call, medium: Medium) -> Sequence[Tensor] | None:
        return call[medium.pixels].unbind(0)


@dataclass(frozen=True)
class Tiles:
    """LLaVA-NeXT, OneVision: a thumbnail and tiles, laid out, unpadded and broken into lines by the
    host's own packing, which here carries maps; videos are frames, pooled two by two.
    """

    core: Any
    side: int
    told: tuple[str, ...]
    """Further arguments of the call that the packing is told."""

    def _counts(self, call: Call) -> list[int]:
        size, config = self.core.config.vision_config.image_size, self.core.config
        alone = call.get("batch_num_images")
        whole = [True] * len(call["image_sizes"])
        if alone is not None:
            whole = [bool(n == 1) for n in alone for _ in range(int(n))]
        return [
            1 + _tiles(image, config.image_grid_pinpoints, size) if tiled else 1
            for image, tiled in zip(call["image_sizes"], whole, strict=True)
        ]

    def grids(self, call: Call, medium: Medium) -> Sequence[Tensor]:
        if medium.pixels == VIDEOS[1]:
            clips, frames = call[VIDEOS[1]].shape[:2]
            return [grid_of(t, self.side, self.side) for _ in range(clips) for t in range(frames)]
        return [grid_of(t, self.side, self.side) for n in self._counts(call) for t in range(n)]

    def carry(self, maps: Maps, call: Call, medium: Medium) -> list[Tensor]:
        stacked = torch.stack(list(maps))
        broken = stacked.new_full((stacked.shape[-1],), torch.nan)
        if medium.pixels == VIDEOS[1]:
            pooled = self.core.apply_pooling(stacked).unflatten(0, (call[VIDEOS[1]].shape[0], -1))
            return [torch.cat([clip.flatten(0, 1), broken[None]]) for clip in pooled]
        told = {name: call[name] for name in self.told if call.get(name) is not None}
        strategy = self.core.config.vision_feature_select_strategy
        if "vision_feature_select_strategy" in self.told:
            told.setdefault("vision_feature_select_strategy", strategy)
        packed, _ = self.core.pack_image_features(
            list(stacked.split(self._counts(call))),
            call["image_sizes"],
            image_newline=broken,
            **told,
        )
        return list(packed)

    def pixels(self, call: Call, medium: Medium) -> Sequence[Tensor] | None:
        given = call[medium.pixels]
        if medium.pixels == VIDEOS[1]:
            return given.flatten(0, 1).unbind(0)
        if given.dim() == 4:
            return given.unbind(0)
        counts = self._counts(call)
        return [tile for image, n in zip(given, counts, strict=True) for tile in image[:n]]


def _tiles(size: Tensor, pinpoints: list[list[int]], side: int) -> int:
    from transformers.image_processing_utils import select_best_resolution

    height, width = select_best_resolution(tuple(int(n) for n in size), pinpoints)
    return -(-height // side) * -(-width // side)


def _common(model: nn.Module, media: tuple[Medium, ...]) -> dict[str, Any]:
    core: Any = model.model
    config = core.config
    if config.vision_config.model_type not in NORMALISED:
        raise Misuse(
            f"cannot compress {config.model_type} with a {config.vision_config.model_type} tower; "
            f"supported are {', '.join(sorted(NORMALISED))}"
        )
    if config.vision_feature_select_strategy != "default" and core_has_class(core):
        raise Misuse(
            "the class token is among this model's visual tokens "
            "(vision_feature_select_strategy='full'); compression needs 'default'"
        )
    mean, std = NORMALISED[config.vision_config.model_type]
    tower = separate_tower(core.vision_tower, class_tokens=int(core_has_class(core)))
    return {
        "core": core,
        "decoder": core.language_model,
        "media": media,
        "tower": tower,
        "projector": core.multi_modal_projector,
        "shape": decoder_shape(core.language_model, tower, first=1),
        "patch": config.vision_config.patch_size,
        "mean": mean,
        "std": std,
    }


def core_has_class(core: Any) -> bool:
    """Whether the tower's first row is a class token: CLIP's is, SigLIP has none."""
    return core.config.vision_config.model_type == "clip_vision_model"


def _side(core: Any) -> int:
    return core.config.vision_config.image_size // core.config.vision_config.patch_size


def llava(model: nn.Module) -> Host:
    """LLaVA-1.5 and its kind."""
    core: Any = model.model
    media = (medium(core.config.image_token_id, IMAGES),)
    return Host(carrier=OneGrid(_side(core)), **_common(model, media))


def llava_next(model: nn.Module) -> Host:
    """LLaVA-NeXT (1.6)."""
    core: Any = model.model
    media = (medium(core.config.image_token_id, IMAGES),)
    carrier = Tiles(core, _side(core), ("vision_feature_select_strategy",))
    return Host(carrier=carrier, **_common(model, media))


def llava_onevision(model: nn.Module) -> Host:
    """LLaVA-OneVision: images and videos."""
    core: Any = model.model
    media = (
        medium(core.config.image_token_id, IMAGES),
        medium(core.config.video_token_id, VIDEOS),
    )
    carrier = Tiles(core, _side(core), ("vision_aspect_ratio",))
    return Host(carrier=carrier, **_common(model, media))
