"""Pictures as latent rows and back."""

import numpy as np
import pytest
import torch
from PIL import Image

from chiasm.data.latents import to_cells, to_image, to_latent, to_rows
from chiasm.errors import ChiasmError
from chiasm.spec import Latent

LATENT = Latent(height=10, width=15, patch=5)
CELLS = Latent(height=12, width=20, patch=2, stride=2, channels=5)


def test_a_picture_comes_back_as_it_was():
    values = np.random.default_rng(0).integers(0, 256, (10, 15, 3), dtype=np.uint8)
    rows = to_latent(Image.fromarray(values), LATENT)
    assert rows.shape == (6, 75)
    assert float(rows.min()) >= -1.0 and float(rows.max()) <= 1.0
    assert np.array_equal(np.asarray(to_image(rows, LATENT)), values)
    # The second patch of the upper row starts at the sixth column.
    corner = torch.tensor(values[0, 5]).float() / 127.5 - 1
    torch.testing.assert_close(rows[1].view(3, 5, 5)[:, 0, 0], corner)


def test_other_sizes_are_resized_and_values_are_cut():
    assert to_latent(Image.new("L", (40, 7), 255), LATENT).eq(1.0).all()
    assert np.asarray(to_image(torch.full((6, 75), -3.0), LATENT)).max() == 0


def test_an_autoencoder_s_latent_is_refused():
    flux = Latent(height=32, width=32, patch=2, stride=8, channels=16)
    with pytest.raises(ChiasmError, match="16 channels at 1/8 of the size"):
        to_latent(Image.new("RGB", (32, 32)), flux)


def test_rows_are_patches_and_go_back():
    cells = torch.randn(3, 5, 6, 10)
    rows = to_rows(cells, CELLS)
    assert CELLS.grid == (3, 5) and rows.shape == (3, CELLS.rows, CELLS.row_width) == (3, 15, 20)
    assert torch.equal(rows[1, 7], cells[1, :, 2:4, 4:6].flatten())
    assert torch.equal(to_cells(rows, CELLS), cells)


def test_a_picture_that_no_patches_make_is_refused():
    with pytest.raises(ValueError, match="12 x 21 pixels is not made of patches of 4 x 4"):
        Latent(height=12, width=21, patch=2, stride=2)


def test_flux_s_latents_at_1024_pixels_are_4096_rows_of_64():
    flux = Latent(height=1024, width=1024, patch=2, stride=8, channels=16)
    assert (flux.rows, flux.row_width) == (4096, 64)
