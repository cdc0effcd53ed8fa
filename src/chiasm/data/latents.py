"""Pictures to latent rows and back, where the latent is the pixels themselves."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.spec import Latent


def to_rows(
    cells: Float[Tensor, "picture channel y x"], latent: Latent
) -> Float[Tensor, "picture row patch"]:
    """Patches from left to right, top to bottom; a patch is (channel, y, x) in this order."""
    (down, across), side = latent.grid, latent.patch
    patches = cells.reshape(-1, latent.channels, down, side, across, side)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(-1, latent.rows, latent.row_width)


def to_cells(
    rows: Float[Tensor, "picture row patch"], latent: Latent
) -> Float[Tensor, "picture channel y x"]:
    """The inverse of `to_rows`."""
    (down, across), side = latent.grid, latent.patch
    patches = rows.reshape(-1, down, across, latent.channels, side, side)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(
        -1, latent.channels, down * side, across * side
    )


def to_latent(image: Image.Image, latent: Latent) -> Float[Tensor, "row patch"]:
    """The picture, resized, as rows of pixels from -1 to 1.

    Raises ChiasmError for a latent of an autoencoder: none is packaged.
    """
    _refuse_autoencoder(latent)
    image = image.convert("RGB").resize((latent.width, latent.height), Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.asarray(image, dtype=np.float32) / np.float32(127.5) - 1.0)
    return to_rows(values.permute(2, 0, 1).unsqueeze(0), latent)[0]


def to_image(rows: Float[Tensor, "row patch"], latent: Latent) -> Image.Image:
    """The picture that rows of pixels hold; values outside of -1 to 1 are cut."""
    _refuse_autoencoder(latent)
    pixels = to_cells(rows.detach().float().cpu().unsqueeze(0), latent)[0].permute(1, 2, 0)
    values = ((pixels.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)
    return Image.fromarray(values.numpy(), "RGB")


def _refuse_autoencoder(latent: Latent) -> None:
    if latent.stride != 1 or latent.channels != 3:
        raise ChiasmError(
            f"latents of {latent.channels} channels at 1/{latent.stride} of the size come from an "
            f"autoencoder, and none is packaged; use a scale whose latents are pixels"
        )
