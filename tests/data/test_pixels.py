"""Preprocessing equals transformers' own, and its sizes are known before any pixel."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from chiasm.data.pixels import CLIP, IMAGENET, LLAVA, SIGLIP, Pixels
from chiasm.errors import ChiasmError, Misuse

SIZES = [(37, 53), (53, 37), (224, 224), (61, 61), (301, 499), (17, 401), (5, 3), (1, 97)]


def picture(height: int, width: int) -> Image.Image:
    generator = np.random.default_rng(height * 1009 + width)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def theirs(processor, image: Image.Image) -> torch.Tensor:
    return processor(image, return_tensors="pt")["pixel_values"][0]


def assert_equal(ours: torch.Tensor, other: torch.Tensor) -> None:
    assert ours.dtype == torch.float32
    assert ours.shape == other.shape
    assert (ours - other).abs().max() <= 1e-4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("pixels", "processor", "side"),
    [
        (CLIP, CLIPImageProcessorPil(), 224),
        (CLIP, CLIPImageProcessorPil(size=97, crop_size=97), 97),
        (SIGLIP, SiglipImageProcessorPil(), 224),
        (SIGLIP, SiglipImageProcessorPil(size={"height": 41, "width": 67}), (41, 67)),
        (LLAVA, LlavaImageProcessorPil(do_pad=True, size=113, crop_size=113), 113),
    ],
    ids=["clip", "clip-97", "siglip", "siglip-41x67", "llava"],
)
def test_equals_transformers(pixels, processor, side, size):
    image = picture(*size)
    ours = pixels.prepare(image, side)
    assert_equal(ours, theirs(processor, image))
    assert ours.shape[1:] == pixels.output_size(size, side)


@pytest.mark.parametrize(
    "processor",
    [
        CLIPImageProcessorPil(),
        CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size=41, resample=2),
        SiglipImageProcessorPil(size={"height": 29, "width": 31}, resample=3),
        LlavaImageProcessorPil(do_pad=True),
        CLIPImageProcessorPil(do_resize=False, do_center_crop=False, do_normalize=False),
    ],
)
def test_from_a_saved_processor(tmp_path, processor):
    processor.save_pretrained(tmp_path)
    pixels = Pixels.from_transformers(tmp_path)
    for size in SIZES:
        assert_equal(pixels.prepare(picture(*size)), theirs(processor, picture(*size)))


def test_from_an_old_config_and_a_nested_one(tmp_path):
    entries = {
        "crop_size": 224,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": list(CLIP.mean),
        "image_std": list(CLIP.std),
        "resample": 3,
        "size": 224,
    }
    wanted = Pixels(mean=CLIP.mean, std=CLIP.std, fit="shortest-crop", size=(224, 224))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(entries))
    assert Pixels.from_transformers(tmp_path) == wanted
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": entries}))
    assert Pixels.from_transformers(tmp_path) == wanted


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"size": {"longest_edge": 512}}, "size = {'longest_edge': 512}"),
        ({"size": {"shortest_edge": 512}}, "do_center_crop = None"),
        ({"size": 8, "rescale_factor": 0.5}, r"rescale_factor = 0\.5"),
        ({"size": 8, "image_mean": "grey"}, "image_mean = 'grey'"),
        ({"size": 8, "resample": 77}, "resample = 77"),
        ({"size": 8, "resample": "x"}, "resample = 'x'"),
        ({"size": {"height": "tall", "width": 3}}, "size"),
    ],
)
def test_a_recipe_it_cannot_express_is_refused(tmp_path, entries, words):
    config = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, **entries}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(ChiasmError, match=words):
        Pixels.from_transformers(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"image_processor": 3}'])
def test_a_broken_or_missing_config(tmp_path, text):
    with pytest.raises(ChiasmError, match=r"preprocessor_config\.json"):
        Pixels.from_transformers(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ChiasmError, match=r"preprocessor_config\.json"):
        Pixels.from_transformers(tmp_path)


def test_normalisation_by_hand():
    pixels = Pixels(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25), fit="native")
    out = pixels.prepare(Image.new("RGB", (3, 2), (255, 0, 51)))
    assert out.shape == (3, 2, 3)
    assert out[:, 0, 0].tolist() == pytest.approx([1.0, -1.0, -3.2])


def test_native_keeps_or_takes_the_size_asked():
    native = Pixels(mean=(0.5,) * 3, std=(0.5,) * 3, fit="native")
    assert native.prepare(picture(7, 13)).shape == (3, 7, 13)
    assert native.prepare(picture(7, 13), (14, 28)).shape == (3, 14, 28)


def test_padding_is_the_mean_colour():
    out = LLAVA.prepare(Image.new("RGB", (40, 20), "white"), 40)
    assert out[:, :9].abs().max() < 0.02
    assert out[:, 31:].abs().max() < 0.02
    assert out[:, 12:28].min() > 1.5


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([CLIP, SIGLIP, IMAGENET, LLAVA]),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 40),
)
def test_sizes_are_known_before_decoding(pixels, height, width, side):
    out = pixels.prepare(picture(height, width), side)
    assert out.shape == (3, *pixels.output_size((height, width), side))
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (2, 40_000)])
@pytest.mark.parametrize("pixels", [CLIP, LLAVA])
def test_extreme_proportions_do_not_fill_the_memory(pixels, size):
    image = Image.new("RGB", (size[1], size[0]), (200, 100, 50))
    out = pixels.prepare(image, 64)
    assert out.shape == (3, 64, 64)
    centre = (np.array([200, 100, 50]) / 255 - pixels.mean) / pixels.std
    assert pixels is LLAVA or np.allclose(out[:, 32, 32], centre, atol=1e-4)


def test_the_memory_saving_crop_is_nearly_the_plain_one(monkeypatch):
    image = picture(40, 300)
    plain = CLIP.prepare(image, 32)
    monkeypatch.setattr("chiasm.data.pixels._LARGEST_STEP", 0)
    assert (CLIP.prepare(image, 32) - plain).abs().max() < 0.05


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"fit": "stretch"}, "'stretch'"),
        ({"resample": "fast"}, "'fast'"),
        ({"std": (1.0, 0.0, 1.0)}, "above 0"),
        ({"crop_fraction": 1.5}, "crop_fraction 1.5"),
    ],
)
def test_a_wrong_recipe_is_refused(entries, words):
    with pytest.raises(Misuse, match=words):
        Pixels(**{"mean": (0.5,) * 3, "std": (0.5,) * 3, **entries})


@pytest.mark.parametrize(
    ("pixels", "size", "words"),
    [(SIGLIP, None, "needs a size"), (SIGLIP, 0, "0 x 0"), (CLIP, (3, 5), "squares, not 3 x 5")],
)
def test_a_wrong_size_is_refused(pixels, size, words):
    with pytest.raises(Misuse, match=words):
        pixels.prepare(picture(3, 3), size)
