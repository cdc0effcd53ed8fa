"""EfficientNet-Lite0 and its packaged weights, against the network they were made for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.operator_count import operator_macs

from chiasm import weights
from chiasm.encoders import EfficientNetLite0
from chiasm.errors import ChiasmError, Misuse

REFERENCE: list[tuple[list[int], list[float]]] = [
    (
        [906, 772, 911, 490, 585],
        [
            0.08956,
            -0.54799,
            -1.75439,
            1.23872,
            -0.82877,
            -2.2726,
            -0.12183,
            1.46763,
            1.60184,
            -1.25229,
        ],
    ),
    (
        [906, 911, 772, 885, 490],
        [
            0.30563,
            -0.48491,
            -2.19095,
            1.47735,
            -0.47827,
            -1.89899,
            0.02611,
            1.124,
            1.01391,
            -0.96955,
        ],
    ),
]
"""For each image: its five best classes, and the scores of every hundredth class."""
LEVELS = ("map", "head", "classes")


@pytest.fixture(scope="module")
def folder() -> Path:
    return weights.resolve("efficientnet-lite0")


def waves(images: int, height: int, width: int) -> torch.Tensor:
    """A picture that any library draws alike: crossing waves of three colours."""
    y = torch.arange(height, dtype=torch.float64).reshape(-1, 1)
    x = torch.arange(width, dtype=torch.float64)
    colours = [
        torch.sin(y / (7 + 3 * c + i)) * torch.cos(x / (11 - 2 * c + i))
        for i in range(images)
        for c in range(3)
    ]
    return torch.stack(colours).reshape(images, 3, height, width).float()


def test_scores_equal_the_numbers_of_the_reference(folder: Path) -> None:
    """Numbers written down from package efficientnet-lite-pytorch 0.1.0, its own class and file."""
    encoder = EfficientNetLite0(level="classes", weights=str(folder)).build().eval()
    with torch.no_grad():
        scores = encoder(waves(2, 224, 224)).tokens
    assert scores.shape == (2, 1, 1000)
    for image, (best, chosen) in enumerate(REFERENCE):
        assert scores[image, 0].topk(len(best)).indices.tolist() == best
        got = scores[image, 0, :: 1000 // len(chosen)]
        torch.testing.assert_close(got, torch.tensor(chosen), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(224, 224), (97, 131)])
def test_equals_the_reference_class(folder: Path, size: tuple[int, int]) -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    # Its padding is fixed when it is made: for 224 pixels unless told otherwise.
    theirs = reference.EfficientNet.from_name("efficientnet-lite0", image_size=size).eval()
    state = load_file(folder / "model.safetensors")
    theirs.load_state_dict(state)
    images = waves(2, *size)
    scores = EfficientNetLite0(level="classes", weights=str(folder)).build().eval()
    head = EfficientNetLite0(level="head", weights=str(folder)).build().eval()
    with torch.no_grad():
        torch.testing.assert_close(
            scores(images).tokens[:, 0], theirs(images), atol=1e-4, rtol=1e-4
        )
        expected = theirs.extract_features(images).flatten(2).transpose(1, 2)
        torch.testing.assert_close(head(images).tokens, expected, atol=1e-4, rtol=1e-4)


def test_levels_are_one_network(folder: Path) -> None:
    images = waves(1, 97, 131)
    with torch.no_grad():
        low, high, scores = (
            EfficientNetLite0(level=level, weights=str(folder)).build().eval()(images)
            for level in LEVELS
        )
        top = EfficientNetLite0(level="classes", weights=str(folder)).build().eval()
        maps = low.tokens.transpose(1, 2).unflatten(2, low.grid)
        made = torch.nn.functional.relu6(top.bn1(top.conv_head(maps)))
    torch.testing.assert_close(made.flatten(2).transpose(1, 2), high.tokens, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(top.fc(high.tokens.mean(1)), scores.tokens[:, 0])


@pytest.mark.parametrize("size", [(224, 224), (97, 131), (32, 33), (5, 7)])
@pytest.mark.parametrize("level", LEVELS)
def test_geometry_and_work_equal_what_runs(level: str, size: tuple[int, int]) -> None:
    answer = replace(EfficientNetLite0(weights=None), level=level)
    with torch.device("meta"):
        encoder = answer.build().eval()
        image = torch.empty(1, 3, *size)
    rows, columns = answer.grid(size)
    features = encoder(image)
    assert features.grid == (rows, columns)
    assert features.tokens.shape == (1, rows * columns, answer.width)
    counted = operator_macs(lambda: encoder(image))
    assert sum(w.macs for w in answer.work(size)) == pytest.approx(counted, rel=0.01)


def test_published_sizes() -> None:
    """4.65 M parameters and about 0.4 G multiply-adds at 224 pixels, as TensorFlow states them."""
    answer = EfficientNetLite0(level="classes")
    with torch.device("meta"):
        assert sum(p.numel() for p in answer.build().parameters()) == 4_652_008
    assert sum(w.macs for w in answer.work((224, 224))) == 385_187_552
    assert EfficientNetLite0().grid((224, 224)) == (7, 7)


def test_batched_equals_single(folder: Path) -> None:
    encoder = EfficientNetLite0(weights=str(folder)).build().eval()
    images = waves(3, 64, 96)
    with torch.no_grad():
        together = encoder(images).tokens
        alone = torch.cat([encoder(images[i : i + 1]).tokens for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_padding_is_refused() -> None:
    encoder = EfficientNetLite0(weights=None).build().eval()
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    images = waves(1, 64, 64)
    assert (encoder(images, valid).tokens == encoder(images).tokens).all()
    valid[:, 63] = False
    with pytest.raises(Misuse, match="64 of 4096 pixels hold none of the image"):
        encoder(images, valid)


class TestWeights:
    """A folder that does not fit is refused in one line."""

    def changed(self, folder: Path, tmp_path: Path, **changes: torch.Tensor | None) -> str:
        state = load_file(folder / "model.safetensors")
        for name, tensor in changes.items():
            if tensor is None:
                del state[name]
            else:
                state[name] = tensor
        save_file(state, tmp_path / "model.safetensors")
        return str(tmp_path)

    def test_a_missing_tensor(self, folder: Path, tmp_path: Path) -> None:
        name = self.changed(folder, tmp_path, **{"_blocks.3._bn1.running_var": None})
        with pytest.raises(ChiasmError, match=r"lacks blocks\.3\.bn1\.running_var"):
            EfficientNetLite0(weights=name).build()

    def test_an_extra_tensor(self, folder: Path, tmp_path: Path) -> None:
        name = self.changed(folder, tmp_path, **{"_blocks.16._bn1.bias": torch.zeros(3)})
        with pytest.raises(ChiasmError, match=r"holds blocks\.16\.bn1\.bias"):
            EfficientNetLite0(weights=name).build()

    def test_another_shape(self, folder: Path, tmp_path: Path) -> None:
        name = self.changed(folder, tmp_path, _fc=torch.zeros(3))
        with pytest.raises(ChiasmError, match="holds fc, which"):
            EfficientNetLite0(weights=name).build()
        name = self.changed(folder, tmp_path, **{"_conv_stem.weight": torch.zeros(24, 3, 3, 3)})
        with pytest.raises(ChiasmError, match=r"conv_stem\.weight is \(24, 3, 3, 3\)"):
            EfficientNetLite0(weights=name).build()

    def test_no_weights(self, tmp_path: Path) -> None:
        with pytest.raises(ChiasmError, match=r"has no model\.safetensors"):
            EfficientNetLite0(weights=str(tmp_path)).build()

    def test_unknown_level(self) -> None:
        with pytest.raises(Misuse, match="level is one of map, head, classes, not 'top'"):
            EfficientNetLite0(level="top")  # type: ignore[arg-type]
