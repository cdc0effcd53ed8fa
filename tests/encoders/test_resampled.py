"""Maps on grids that others share, ConvNeXt, and several maps side by side."""

import pytest
import torch
import torch.nn.functional as F
from tests.operator_count import operator_macs
from transformers import ConvNextConfig, ConvNextModel

from chiasm.encoders import ConvNeXt, Resampled, SideMaps, VisionTransformer
from chiasm.errors import Misuse

VIT = VisionTransformer(patch=8, width=12, depth=1, heads=4, ff_width=19)
SMALL = ConvNeXt(depths=(1, 2, 1, 1), widths=(3, 5, 7, 11))
SAME = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cells", [(3, 5), (7, 4), (1, 1)])
def test_a_map_is_stretched_between_its_corners(cells: tuple[int, int]) -> None:
    encoder = Resampled(each=VIT, cells=cells).build().eval().requires_grad_(False)
    seen = encoder(image(24, 40))
    assert seen.grid == cells and seen.tokens.shape == (2, cells[0] * cells[1], 12)
    whole = encoder.each(image(24, 40)).tokens.transpose(1, 2).unflatten(2, (3, 5))
    own = seen.tokens.transpose(1, 2).unflatten(2, cells)
    torch.testing.assert_close(own[..., 0, 0], whole[..., 0, 0])
    if cells != (1, 1):
        torch.testing.assert_close(own[..., -1, -1], whole[..., -1, -1], atol=1e-5, rtol=1e-5)


def test_a_picture_is_seen_at_its_own_size_and_blocks_are_joined() -> None:
    config = Resampled(each=VIT, cells=(2, 3), pixels=(32, 48), unshuffle=2)
    encoder = config.build().eval().requires_grad_(False)
    seen = encoder(image(64, 96))
    assert config.width == 48 and seen.tokens.shape == (2, 6, 48)
    smaller = F.interpolate(image(64, 96), (32, 48), mode="bilinear", antialias=True)
    cells = encoder.each(smaller).tokens.unflatten(1, (4, 6))
    first = cells[:, :2, :2].permute(0, 3, 1, 2).flatten(1)
    torch.testing.assert_close(seen.tokens[:, 0], first, atol=1e-5, rtol=1e-5)
    counted = operator_macs(lambda: encoder(image(64, 96)[:1]))
    assert sum(w.macs for w in config.work((64, 96))) == pytest.approx(counted, rel=0.01)


def test_padding_is_refused() -> None:
    valid = torch.ones(2, 24, 40, dtype=torch.bool)
    encoder = Resampled(each=VIT, cells=(3, 5)).build()
    encoder(image(24, 40), valid)
    valid[1, 20:] = False
    with pytest.raises(Misuse, match="one size"):
        encoder(image(24, 40), valid)


def test_convnext_is_transformers_and_counts_as_it_runs() -> None:
    encoder = SMALL.build().eval().requires_grad_(False)
    sizes = ConvNextConfig(depths=list(SMALL.depths), hidden_sizes=list(SMALL.widths))
    theirs = ConvNextModel(sizes).eval()
    theirs.load_state_dict(encoder.state_dict(), strict=False)
    seen = encoder(image(70, 99))
    assert seen.grid == SMALL.grid((70, 99)) == (2, 3)
    expected = theirs(image(70, 99)).last_hidden_state.flatten(2).transpose(1, 2)
    torch.testing.assert_close(seen.tokens, expected)
    counted = operator_macs(lambda: encoder(image(64, 96)[:1]))
    assert sum(w.macs for w in SMALL.work((64, 96))) == counted


def test_side_maps_keep_every_map_and_the_means_of_its_windows() -> None:
    parts = (Resampled(each=VIT, cells=(3, 5)), Resampled(each=SMALL, cells=(6, 10)))
    config = SideMaps(parts=parts, given=SAME, moments=(SAME, SAME))
    encoder = config.build().eval().requires_grad_(False)
    seen = encoder(image(96, 160))
    assert config.grid((96, 160)) == seen.grid == (3, 5) and config.width == 12 + 11
    assert [tap.shape for tap in seen.taps] == [(2, 15, 12), (2, 60, 11)]
    torch.testing.assert_close(seen.tokens[..., :12], seen.taps[0])
    window = seen.taps[1].unflatten(1, (6, 10))[:, 2:4, 4:6].flatten(1, 2).mean(1)
    torch.testing.assert_close(seen.tokens[:, 7, 12:], window)
    odd = SideMaps(parts=(parts[0], Resampled(each=SMALL, cells=(6, 15))), **vars_of(config))
    with pytest.raises(Misuse, match="6 x 15 has no square windows on a grid of 3 x 5"):
        odd.grid((96, 160))


def vars_of(config: SideMaps) -> dict:
    return dict(given=config.given, moments=config.moments)
