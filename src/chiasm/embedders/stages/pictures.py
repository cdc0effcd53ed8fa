"""The first stage for pictures: any encoder of the library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.data.pixels import Pixels
from chiasm.data.views import picture
from chiasm.embedders.contents import Content
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.stream import Features, Modality


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Tokens of an item's one picture, resized to `height` x `width`."""

    encoder: Any
    """Of the library's encoders, or a `ConvolutionalMap`."""
    pixels: Pixels
    height: int
    width_pixels: int
    layers: int = 0
    """How many of the encoder's taps go on too, the last ones, for a fusion that reads several."""

    @property
    def width(self) -> int:
        return self.encoder.width

    @property
    def vocabulary(self) -> int | None:
        return None

    def build(self, words: int | None = None) -> nn.Module:
        encoder = self.encoder.build()
        if encoder is None:
            raise ValueError("a tower of pictures needs an encoder; name one")
        return PictureEncoder(encoder, self.layers)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "PictureReader":
        return PictureReader(self)


class PictureEncoder(nn.Module):
    """`[item, 3, height, width]` to states of the encoder's tokens."""

    def __init__(self, encoder: nn.Module, layers: int) -> None:
        super().__init__()
        self.encoder, self._layers = encoder, layers

    @property
    def patches(self) -> nn.Conv2d | None:
        """What embeds patches, `[item, width, row, column]`; None where nothing does."""
        return getattr(self.encoder, "patches", None)

    def forward(self, images: Tensor) -> States:
        features = cast(Features, self.encoder(images))
        states = States.all_of(features.tokens, int(Modality.IMAGE))
        if not self._layers:
            return states
        return States(
            tokens=states.tokens,
            valid=states.valid,
            modality=states.modality,
            told=states.told,
            layers=features.taps[-self._layers :],
        )


@dataclass(frozen=True)
class PictureReader:
    """Contents to pixels `[item, 3, height, width]`."""

    config: Pictures

    def read(self, contents: Sequence[Content]) -> Any:
        size = self.config.height, self.config.width_pixels
        return torch.stack(
            [self.config.pixels.prepare(picture(_only(content)), size) for content in contents]
        )


def _only(content: Content):
    found = [one for part in content.parts for one in part.pictures]
    if len(found) != 1:
        raise Misuse(f"{len(found)} pictures given to a tower that reads one; embed them apart")
    return found[0]
