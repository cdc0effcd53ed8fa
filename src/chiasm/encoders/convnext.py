"""ConvNeXt: a convolutional encoder, its last map's places as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import ConvNextConfig, ConvNextModel

from chiasm.spec import Size, Work
from chiasm.spec.work import linear
from chiasm.stream import Features

_SMALLER = 4, 2, 2, 2
"""By how much the stem, and what leads to each further stage, shrinks an edge."""


@dataclass(frozen=True, kw_only=True)
class ConvNeXt:
    """transformers' ConvNextModel (arXiv 2201.03545), fresh weights: stages of `depths` blocks,
    `widths` wide; the last map, before the pooled norm. An edge shrinks by 32, parts dropped.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]

    @property
    def width(self) -> int:
        return self.widths[-1]

    def grid(self, size: Size) -> tuple[int, int]:
        rows, columns = size
        for smaller in _SMALLER:
            rows, columns = rows // smaller, columns // smaller
        return rows, columns

    def build(self) -> "ConvNeXtEncoder":
        return ConvNeXtEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        work: list[Work] = []
        (rows, columns), before = size, 3
        for smaller, depth, width in zip(_SMALLER, self.depths, self.widths, strict=True):
            rows, columns = rows // smaller, columns // smaller
            places = rows * columns
            work.append(linear("encoder", "shrink", places, before * smaller**2, width))
            work += [
                linear("encoder", "depthwise", places, 49, width),
                linear("encoder", "feed-forward", places, width, 8 * width),
            ] * depth
            before = width
        return work


class ConvNeXtEncoder(nn.Module):
    """Images to `[image, rows * columns, width]`."""

    def __init__(self, config: ConvNeXt) -> None:
        super().__init__()
        sizes = ConvNextConfig(depths=list(config.depths), hidden_sizes=list(config.widths))
        whole = ConvNextModel(sizes)
        self.embeddings, self.encoder = whole.embeddings, whole.encoder

    def forward(
        self,
        images: Float[Tensor, "image 3 y x"],
        image_valid: Bool[Tensor, "image y x"] | None = None,
    ) -> Features:
        maps = self.encoder(self.embeddings(images)).last_hidden_state
        return Features(maps.flatten(2).transpose(1, 2), (maps.shape[-2], maps.shape[-1]))
