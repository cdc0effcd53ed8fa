"""Llama 3.2's vision tower: the tiles of an image in one row, told where in the image they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.encoders.transformers_vision import settings_of
from chiasm.spec import Size, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class TiledVision:
    """transformers' own MllamaVisionModel (arXiv 2407.21783, section 7.1): `tiles` tiles an image,
    blank ones included, embeddings by aspect ratio, global layers, and the hidden states of some
    layers beside the last. `settings` are the entries of its config that differ from the defaults.
    A tile becomes a class token and its patches.
    """

    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def from_config(cls, config: Any) -> "TiledVision":
        """The value that stands for a transformers vision config."""
        return cls(settings=settings_of(config))

    @property
    def config(self) -> Any:
        from transformers import MllamaVisionConfig

        return MllamaVisionConfig(**{name: _listed(value) for name, value in self.settings})

    @property
    def width(self) -> int:
        return self.config.vision_output_dim

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.config.max_num_tiles

    def grid(self, size: Size) -> tuple[int, int]:
        """Of one tile."""
        patch = self.config.patch_size
        return 1, (size[0] // patch) * (size[1] // patch) + 1

    def build(self) -> "TiledEncoder":
        from transformers import MllamaVisionModel

        return TiledEncoder(MllamaVisionModel(self.config))

    def work(self, size: Size) -> Sequence[Work]:
        config, each = self.config, self.grid(size)[1]
        w, heads, tokens = (
            config.hidden_size,
            config.attention_heads,
            self.tiles * (each + -each % 8),
        )
        pixels = config.num_channels * config.patch_size**2
        work = [linear("encoder", "patches", self.tiles * (each - 1), pixels, w)]
        for _ in range(config.num_hidden_layers + config.num_global_layers):
            work += [
                linear("encoder", "attention projections", tokens, w, 4 * w),
                attention("encoder", "attention", tokens**2, heads, w // heads),
                linear("encoder", "feed-forward", tokens, w, 2 * config.intermediate_size),
            ]
        return work


class TiledEncoder(nn.Module):
    """Tiles of each image to `[image, tile * token, width]`, or an image that is one tile."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        images: Float[Tensor, "image *tile 3 height width"],
        image_valid: Int[Tensor, "image entry"] | None = None,
    ) -> Features:
        """`image_valid` tells of each image its aspect ratio's number, then which tiles are real.

        Images without it are one tile each, and so are what they become.
        """
        network: Any = self.model
        count = network.max_num_tiles
        if image_valid is None:
            # Aspect ratios are numbered from 1, which is a single tile.
            first = torch.arange(count + 1, device=images.device) < 2
            image_valid = first.long().expand(len(images), -1)
            images = nn.functional.pad(images.unsqueeze(1), (0,) * 7 + (count - 1,))
            count = 1
        states = network(
            images.unsqueeze(1),
            aspect_ratio_ids=image_valid[:, :1],
            aspect_ratio_mask=image_valid[:, None, 1:],
        ).last_hidden_state
        return Features(states[:, 0, :count].flatten(1, 2), (count, states.shape[-2]))


def _listed(value: Any) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value
