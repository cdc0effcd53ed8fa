"""What compression must know of a host: where its parts are, and how patches become tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.compression.method import HostShape

Call = Mapping[str, Any]
"""The arguments of one run of the encoder over one kind of medium, by name."""

Maps = Sequence[Float[Tensor, "patch channel"]]
"""Something of every patch, unit by unit (tile, frame) in the order the encoder ran them."""


@dataclass(frozen=True, kw_only=True)
class Medium:
    """One kind of placeholder in the prompt."""

    token: int
    """Its id."""
    features: str
    """The core's method that encodes it."""
    pixels: str
    """That method's argument that holds the pixels."""


IMAGES = "get_image_features", "pixel_values"
VIDEOS = "get_video_features", "pixel_values_videos"


class Tower(Protocol):
    """A vision encoder's attention, block by block."""

    @property
    def class_tokens(self) -> int: ...

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The attention module of each block."""
        ...

    def full(self, block: int) -> int:
        """The block itself, or the nearest one that sees its whole unit."""
        ...

    def queries_keys(
        self, block: nn.Module, hidden: Tensor, told: Call
    ) -> Sequence[tuple[Float[Tensor, "head row width"], Float[Tensor, "head row width"]]]:
        """Queries and keys as the softmax has them (queries scaled), one pair a unit, patches in
        raster order behind the class tokens.
        """
        ...


class Carrier(Protocol):
    """How a host lays the patches of its encoder out as tokens of its decoder."""

    def grids(self, call: Call, medium: Medium) -> Sequence[Int[Tensor, "patch 3"]]:
        """Unit of its item, row and column of every patch, unit by unit."""
        ...

    def carry(self, maps: Maps, call: Call, medium: Medium) -> list[Float[Tensor, "token channel"]]:
        """A map of patches as one of tokens, item by item; NaN where a token is of no patch."""
        ...

    def pixels(
        self, call: Call, medium: Medium
    ) -> Sequence[Float[Tensor, "3 height width"]] | None:
        """Pixels of every unit as the encoder gets them; None where it gets patches."""
        ...


@dataclass(frozen=True, kw_only=True)
class Host:
    """A transformers model, seen as encoder, projector and decoder."""

    core: nn.Module
    """What is called with ids and pixels."""
    decoder: nn.Module
    """What is called with embeddings; its `layers` are the decoder's."""
    media: tuple[Medium, ...]
    tower: Tower
    carrier: Carrier
    projector: nn.Module | None
    """Maps each token by itself; None where it joins patches."""
    shape: HostShape
    patch: int
    """Side of a patch in pixels."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """How pixels were normalised."""
