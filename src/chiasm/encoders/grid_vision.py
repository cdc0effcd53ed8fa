"""Qwen2-VL's vision towers: images as one row of patches, and the grid of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from chiasm.spec import Size, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Features

_CLASSES = {
    "qwen2_vl": ("Qwen2VLVisionConfig", "Qwen2VisionTransformerPretrainedModel", "hidden_size"),
    "qwen2_5_vl": (
        "Qwen2_5_VLVisionConfig",
        "Qwen2_5_VisionTransformerPretrainedModel",
        "out_hidden_size",
    ),
}
"""By package of transformers: config, network, and the config's name for the tokens' width."""


@dataclass(frozen=True, kw_only=True)
class GridVision:
    """transformers' own tower (arXiv 2409.12191, 2502.13923), its merger of 2 x 2 patches included,
    so that tokens come in the host's width. `settings` are the entries of its config that differ
    from the defaults.
    """

    package: str
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def config(self) -> Any:
        return self._found("configuration", _CLASSES[self.package][0])(**dict(self.settings))

    @property
    def width(self) -> int:
        return getattr(self.config, _CLASSES[self.package][2])

    def grid(self, size: Size) -> tuple[int, int]:
        side = self.config.patch_size * self.config.spatial_merge_size
        return size[0] // side, size[1] // side

    def build(self) -> "GridEncoder":
        config = self.config
        return GridEncoder(self._found("modeling", _CLASSES[self.package][1])(config))

    def work(self, size: Size) -> Sequence[Work]:
        config, (rows, columns) = self.config, self.grid(size)
        merge = config.spatial_merge_size**2
        w, patches = getattr(config, "embed_dim", config.hidden_size), rows * columns * merge
        pixels = config.in_channels * config.temporal_patch_size * config.patch_size**2
        work = [linear("encoder", "patches", patches, pixels, w)]
        for _ in range(config.depth):
            hidden = getattr(config, "intermediate_size", None)
            wide = 3 * hidden if hidden else 2 * w * config.mlp_ratio
            work += [
                linear("encoder", "attention projections", patches, w, 4 * w),
                attention(
                    "encoder", "attention", patches**2, config.num_heads, w // config.num_heads
                ),
                linear("encoder", "feed-forward", patches, w, wide),
            ]
        inner = w * merge
        return [*work, linear("encoder", "merger", rows * columns, inner, inner + self.width)]

    def _found(self, kind: str, name: str) -> Any:
        module = f"transformers.models.{self.package}.{kind}_{self.package}"
        return getattr(import_module(module), name)


class GridEncoder(nn.Module):
    """The patches of all images, one image after another, to `[image, token, width]`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, images: Float[Tensor, "patch pixels"], image_valid: Int[Tensor, "image 3"]
    ) -> Features:
        """`image_valid` tells what is real of each image: its (frames, rows, columns) of patches.

        Images of fewer tokens than the longest are padded.
        """
        network: Any = self.model
        packed = network(images.to(network.dtype), grid_thw=image_valid).pooler_output
        counts = (image_valid.prod(-1) // network.spatial_merge_size**2).tolist()
        tokens = pad_sequence(list(torch.split(packed, counts)), batch_first=True)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        valid = places < torch.tensor(counts, device=tokens.device).unsqueeze(1)
        return Features(tokens, (1, tokens.shape[1]), valid)
