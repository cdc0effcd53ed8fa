"""The stream a decoder runs over, and the inputs a model assembles it from."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.stream.features import Memory
from chiasm.stream.spotted import Spotted
from chiasm.stream.table import TokenTable


@dataclass(frozen=True)
class Stream:
    """Embeddings, what each row is, and the memory that layers may read besides them."""

    embeddings: Float[Tensor, "batch token width"]
    table: TokenTable
    memory: Memory | None = None
    source: Int[Tensor, "batch token"] | None = None
    """Which memory token a media row stands for, -1 for the other rows."""
    adapter: Int[Tensor, " batch"] | None = None
    """Which of a bank's adapters each sample passes, where a bank is served."""
    spotted: Spotted | None = None
    """Words found in the pictures, where they are at hand."""


@dataclass(frozen=True)
class Inputs:
    """One batch, as data and server make it: all counts are fixed before any pixel is encoded.

    `images` lists the batch's images once each; `owners[b, i]` names sample b's i-th image by its
    row in `images` (-1: none), so that samples may share one encoded image.
    """

    ids: Int[Tensor, "batch token"]
    """Token ids; the value at media rows is ignored."""
    table: TokenTable
    source: Int[Tensor, "batch token"]
    """Sample-wise index of the media token a row stands for, -1 for text."""
    images: Float[Tensor, "image 3 height width"] | None = None
    image_valid: Bool[Tensor, "image height width"] | None = None
    """False on padding pixels; None when every pixel is real."""
    owners: Int[Tensor, "batch item"] | None = None
    memory: TokenTable | None = None
    """Identity of each sample's media tokens, `[batch, item * tokens per image]`."""
    labels: Int[Tensor, "batch token"] | None = None
    """The id that each row must predict *next*, -100 where nothing is taught."""
    latents: Float[Tensor, "batch latent channel"] | None = None
    """Each sample's latent rows, picture after picture; None where no row is a latent."""
    latent_of: Int[Tensor, "batch token"] | None = None
    """Which of them a row holds, -1 for the other rows. A draft's rows name the clean latents until
    noise is drawn for them."""
    adapter: Int[Tensor, " batch"] | None = None
    """Which of a bank's adapters each sample passes; a cached step keeps the prompt's."""
    routing: Float[Tensor, "batch expert"] | None = None
    """Weights of the experts that read a sample's images, where a connector routes among them: they
    stand in for those of its router."""
    spotted: Spotted | None = None
    """Words found in the pictures, for fusions that read them."""

    def to(self, device: torch.device | str) -> "Inputs":
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value if value is None else value.to(device)
        return replace(self, **moved)
