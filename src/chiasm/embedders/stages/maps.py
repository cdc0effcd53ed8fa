"""Convolutional networks of transformers as picture encoders: the last map's places as tokens."""

import functools
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AlignVisionConfig, AlignVisionModel, ResNetConfig, ResNetModel

from chiasm.errors import Misuse
from chiasm.stream import Features

KINDS: dict[str, tuple[type, type]] = {
    "align_vision_model": (AlignVisionConfig, AlignVisionModel),
    "resnet": (ResNetConfig, ResNetModel),
}


@dataclass(frozen=True, kw_only=True)
class ConvolutionalMap:
    """An EfficientNet without its last convolution (ALIGN's) or a ResNet; fresh weights.

    `settings` are the entries of its transformers config that differ from the defaults, `width`
    the channels of its last map.
    """

    model_type: str
    width: int
    settings: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.model_type not in KINDS:
            raise Misuse(f"no network of maps is called {self.model_type!r}: {', '.join(KINDS)}")

    def build(self) -> nn.Module:
        return MapEncoder(self)


@functools.cache
def _config(of: ConvolutionalMap) -> Any:
    return KINDS[of.model_type][0](**dict(of.settings))


class MapEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, width]`."""

    def __init__(self, config: ConvolutionalMap) -> None:
        super().__init__()
        self.config = config
        whole: Any = KINDS[config.model_type][1](_config(config))
        self.embeddings = whole.embeddings if hasattr(whole, "embeddings") else whole.embedder
        self.encoder = whole.encoder

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        maps = self.encoder(self.embeddings(images)).last_hidden_state
        rows, columns = maps.shape[-2:]
        if maps.shape[1] != self.config.width:
            raise Misuse(f"the last map has {maps.shape[1]} channels, not {self.config.width}")
        return Features(maps.flatten(2).transpose(1, 2), (rows, columns))
