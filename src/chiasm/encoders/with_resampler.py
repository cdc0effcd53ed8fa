"""An encoder whose features are what a resampler makes of another's: both are one frozen part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Size, Work
from chiasm.spec.answer import Connector, Encoder
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class WithResampler:
    """`[image, count, width]`, one row of a grid, of the features of `encoder`.

    What was taught together with an encoder (BLIP-2's resampler) stays frozen with it, and a
    connector of the system's own comes after.
    """

    encoder: Encoder
    resampler: Connector
    width: int

    def __post_init__(self) -> None:
        if self.resampler.conditioned or self.resampler.layerwise:
            raise ValueError("an encoder's resampler reads the picture alone, for all layers")

    def grid(self, size: Size) -> tuple[int, int]:
        return 1, self.resampler.count(self.encoder.grid(size))

    def build(self) -> "WithResamplerEncoder | None":
        made = self.encoder.build()
        resampler = self.resampler.build(self.encoder.width, self.width)
        return None if made is None or resampler is None else WithResamplerEncoder(made, resampler)

    def work(self, size: Size) -> Sequence[Work]:
        grid = self.encoder.grid(size)
        again = self.resampler.work(grid, self.encoder.width, self.width)
        moved = (replace(line, part="encoder") for line in again)
        return (*self.encoder.work(size), *moved)


class WithResamplerEncoder(nn.Module):
    """Images to `Features` of the resampler's tokens."""

    def __init__(self, encoder: nn.Module, resampler: nn.Module) -> None:
        super().__init__()
        self.inner, self.resampler = encoder, resampler

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        tokens = self.resampler.connect(self.inner(images, image_valid), None)  # pyright: ignore[reportCallIssue]
        return Features(tokens.embeddings, (1, tokens.embeddings.shape[1]), tokens.valid)
