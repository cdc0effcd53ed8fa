"""The plain vision-language model at its three scales: sizes, tokens and stages."""

import pytest
import torch
from PIL import Image

from chiasm.assemble import build
from chiasm.lineages.vision_language import LITE, VISION_LANGUAGE
from chiasm.model import PARTS
from chiasm.spec import Scale, geometry


@pytest.mark.parametrize(
    ("scale", "grid", "encoder", "connector"),
    [
        (Scale.NANO, (4, 4), 553_376, 33_024),
        (Scale.SMOL, (7, 7), 2_958_848, 517_248),
        (Scale.PAPER, (24, 24), 303_507_456, 20_979_712),
    ],
)
def test_sizes_and_tokens(
    scale: Scale, grid: tuple[int, int], encoder: int, connector: int
) -> None:
    answers = VISION_LANGUAGE[scale]
    planned = geometry(answers, (480, 640))
    assert planned.grids == (grid,)
    assert planned.placeholders == grid[0] * grid[1]
    model = build(answers, device="meta")
    held = {part: sum(p.numel() for p in model.part(part)) for part in PARTS}
    assert (held["encoder"], held["connector"]) == (encoder, connector)
    assert held["decoder"] > 0 and held["fusion"] == 0
    assert (held["head"] > 0) == (scale is Scale.PAPER), "the smaller hosts tie their head"


@pytest.mark.parametrize("scale", [Scale.SMOL, Scale.PAPER])
def test_the_encoder_stays_frozen_and_the_host_waits(scale: Scale) -> None:
    first, second = VISION_LANGUAGE[scale].teaching.stages
    assert first.trained == ("connector", "fusion")
    assert set(second.trained) == set(PARTS) - {"encoder", "flow", "action"}
    assert first.learning_rate > second.learning_rate


def test_paper_stages() -> None:
    first, second = VISION_LANGUAGE[Scale.PAPER].teaching.stages
    assert (first.learning_rate, first.batch) == (1e-3, 256)
    assert (second.learning_rate, second.batch) == (2e-5, 128)
    assert first.share == pytest.approx(558_000 / 1_223_000)


def test_lite_pixels_are_the_bytes_around_127() -> None:
    picture = Image.new("RGB", (4, 4), (127, 255, 0))
    values = LITE.prepare(picture, 2)[:, 0, 0]
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, -127 / 128]))
