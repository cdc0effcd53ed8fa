"""Vision models of transformers: every tap against their own hidden states, odd sizes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.operator_count import operator_macs
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedModel,
)

from chiasm.encoders import TransformersVision
from chiasm.encoders.vision_families import FAMILIES
from chiasm.errors import ChiasmError, Misuse

SMALL = {"hidden_size": 33, "num_attention_heads": 3, "num_hidden_layers": 3}
LARGER = {"hidden_size": 20, "num_attention_heads": 5, "num_hidden_layers": 4}
CASES: list[tuple[str, dict[str, Any], int]] = [
    # model type, settings, tokens before the patches
    ("clip_vision_model", {**SMALL, "intermediate_size": 47, "image_size": 35, "patch_size": 5}, 1),
    (
        "clip_vision_model",
        {**LARGER, "intermediate_size": 13, "image_size": 21, "patch_size": 7},
        1,
    ),
    (
        "clip_vision_model",
        {**SMALL, "intermediate_size": 7, "image_size": 22, "patch_size": 11, "hidden_act": "gelu"},
        1,
    ),
    (
        "siglip_vision_model",
        {**SMALL, "intermediate_size": 47, "image_size": 35, "patch_size": 5},
        0,
    ),
    (
        "siglip_vision_model",
        {
            **LARGER,
            "intermediate_size": 13,
            "image_size": 21,
            "patch_size": 7,
            "vision_use_head": False,
        },
        0,
    ),
    (
        "siglip2_vision_model",
        {**SMALL, "intermediate_size": 47, "num_patches": 9, "patch_size": 5},
        0,
    ),
    ("dinov2", {**SMALL, "mlp_ratio": 2, "image_size": 35, "patch_size": 5}, 1),
    ("dinov2", {**LARGER, "use_swiglu_ffn": True, "image_size": 21, "patch_size": 7}, 1),
    (
        "dinov2_with_registers",
        {**SMALL, "mlp_ratio": 3, "image_size": 35, "patch_size": 5, "num_register_tokens": 2},
        3,
    ),
    *(
        (
            f"{name}_vision",
            {**SMALL, "intermediate_size": 47, "image_size": 35, "patch_size": 5},
            0,
        )
        for name in ("idefics2", "idefics3", "smolvlm")
    ),
]
CASES.append(
    (
        "ovis2_vision",
        {**SMALL, "intermediate_size": 47, "image_size": 35, "patch_size": 5, "vocab_size": 17},
        0,
    )
)
ONE_SIZE = ("ovis2_vision",)
"""Towers whose positions do not stretch."""
PARTS = ("idefics_vision",)
"""Towers that no class of transformers holds alone: compared inside their models' folders."""
TIED = ("ovis2_vision",)
"""Towers whose last hidden state transformers replaces by the final output."""
IDS = [f"{name}-{number}" for number, (name, _, _) in enumerate(CASES)]
each_case = pytest.mark.parametrize(("model_type", "settings", "prefix"), CASES, ids=IDS)


def answer(model_type: str, settings: dict[str, Any], **fields: Any) -> TransformersVision:
    return TransformersVision(model_type=model_type, settings=tuple(settings.items()), **fields)


def sizes(model_type: str, settings: dict[str, Any]) -> list[tuple[int, int]]:
    """The native size, and one that is neither square nor a whole number of patches."""
    side, patch = settings.get("image_size", 15), settings["patch_size"]
    return [(side, side), (2 * patch, 3 * patch + 1)][: 1 if model_type in ONE_SIZE else None]


def reference(model_type: str, settings: dict[str, Any]) -> PreTrainedModel:
    """transformers' own class with weights far from its start, so that every part counts."""
    family = FAMILIES[model_type]
    model = family.model()(family.config()(**settings)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def outputs(model: PreTrainedModel, model_type: str, images: torch.Tensor) -> Any:
    """The reference called as its documentation says."""
    if model_type == "siglip2_vision_model":
        patch = model.config.patch_size
        rows, columns = images.shape[-2] // patch, images.shape[-1] // patch
        cut = images[..., : rows * patch, : columns * patch]
        cut = cut.reshape(len(images), 3, rows, patch, columns, patch)
        flat = cut.permute(0, 2, 4, 3, 5, 1).reshape(len(images), rows * columns, -1)
        return model(
            pixel_values=flat,
            pixel_attention_mask=torch.ones(len(images), rows * columns, dtype=torch.long),
            spatial_shapes=torch.tensor([[rows, columns]] * len(images)),
            output_hidden_states=True,
        )
    stretches = model_type in ("clip_vision_model", "siglip_vision_model")
    options = {"interpolate_pos_encoding": True} if stretches else {}
    return model(pixel_values=images, output_hidden_states=True, **options)


@each_case
def test_every_tap_equals_transformers(
    model_type: str, settings: dict[str, Any], prefix: int
) -> None:
    torch.manual_seed(0)
    model = reference(model_type, settings)
    depth = settings["num_hidden_layers"]
    every = tuple(range(depth + 1))
    encoder = answer(model_type, settings, taps=every).build().eval()
    encoder.model.load_state_dict(FAMILIES[model_type].network(model).state_dict())
    for size in sizes(model_type, settings):
        images = torch.randn(2, 3, *size)
        expected = outputs(model, model_type, images)
        features = encoder(images)
        rows, columns = encoder.answer.grid(size)
        assert features.grid == (rows, columns)
        assert features.tokens.shape == (2, rows * columns, encoder.answer.width)
        assert len(features.taps) == len(expected.hidden_states) == depth + 1
        states = list(expected.hidden_states)
        if model_type in TIED:
            # There transformers tells its final output, normed, as the last layer's.
            assert states.pop() is expected.last_hidden_state
        for mine, theirs in zip(features.taps, states, strict=model_type not in TIED):
            torch.testing.assert_close(mine, theirs[:, prefix:], atol=1e-5, rtol=1e-5)
        assert (features.tokens == torch.cat(features.taps, -1)).all()


@each_case
def test_single_taps_and_the_final_output_equal_transformers(
    model_type: str, settings: dict[str, Any], prefix: int
) -> None:
    torch.manual_seed(1)
    model = reference(model_type, settings)
    network = FAMILIES[model_type].network(model)
    size, depth = sizes(model_type, settings)[0], settings["num_hidden_layers"]
    images = torch.randn(2, 3, *size)
    expected = outputs(model, model_type, images)
    for tap in (-2, 0, 1, -depth - 1):
        encoder = answer(model_type, settings, taps=(tap,)).build().eval()
        encoder.model.load_state_dict(network.state_dict())
        theirs = expected.hidden_states[tap][:, prefix:]
        torch.testing.assert_close(encoder(images).tokens, theirs, atol=1e-5, rtol=1e-5)
    encoder = answer(model_type, settings, taps=()).build().eval()
    encoder.model.load_state_dict(network.state_dict())
    final = encoder(images)
    assert final.taps == ()
    theirs = expected.last_hidden_state[:, prefix:]
    torch.testing.assert_close(final.tokens, theirs, atol=1e-5, rtol=1e-5)


@each_case
def test_gradients_equal_transformers(
    model_type: str, settings: dict[str, Any], prefix: int
) -> None:
    torch.manual_seed(2)
    model = reference(model_type, settings)
    network = FAMILIES[model_type].network(model)
    encoder = answer(model_type, settings, taps=(-2, 1)).build().eval()
    encoder.model.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, *sizes(model_type, settings)[0])
    states = outputs(model, model_type, images).hidden_states
    theirs = torch.cat([states[-2], states[1]], -1)[:, prefix:]
    weights = torch.randn_like(theirs)
    (theirs * weights).sum().backward()
    (encoder(images).tokens * weights).sum().backward()
    touched = 0
    for name, parameter in network.named_parameters():
        mine = encoder.model.get_parameter(name).grad
        if parameter.grad is None or not parameter.grad.any():
            assert mine is None or not mine.any(), name
            continue
        touched += 1
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(mine, parameter.grad, atol=1e-4 * scale, rtol=1e-3)
    assert touched > 10


@each_case
@pytest.mark.parametrize("taps", [(-2,), (0, 2), (1,), (0,), ()], ids=str)
def test_work_equals_the_operator_count(
    model_type: str, settings: dict[str, Any], prefix: int, taps: tuple[int, ...]
) -> None:
    made = answer(model_type, settings, taps=taps)
    encoder = made.build().eval()
    for size in sizes(model_type, settings):
        counted = operator_macs(lambda size=size: encoder(torch.randn(1, 3, *size)))
        assert sum(w.macs for w in made.work(size)) == pytest.approx(counted, rel=0.01)


@each_case
def test_config_and_value_stand_for_each_other(
    model_type: str, settings: dict[str, Any], prefix: int
) -> None:
    made = answer(model_type, settings)
    again = TransformersVision.from_config(made.config, taps=(-2,), drop_first=prefix)
    assert dict(again.settings) == settings
    assert again.config.to_dict() == made.config.to_dict()
    assert made.drop_first == prefix
    assert hash(again) is not None and again == TransformersVision.from_config(made.config)


def test_layers_past_the_deepest_tap_do_not_run() -> None:
    _, settings, _ = CASES[0]
    encoder = answer("clip_vision_model", settings, taps=(1,)).build()
    whole = FAMILIES["clip_vision_model"].model()(encoder.answer.config)
    kept, made = (sum(p.numel() for p in module.parameters()) for module in (encoder, whole))
    assert kept == made, "every weight is kept"
    encoder(torch.randn(1, 3, 35, 35)).tokens.sum().backward()
    layers = [encoder.model.get_submodule(f"encoder.layers.{number}") for number in range(3)]
    moved = [any(p.grad is not None for p in layer.parameters()) for layer in layers]
    assert moved == [True, False, False]


@each_case
def test_tokens_before_the_patches_can_be_kept(
    model_type: str, settings: dict[str, Any], prefix: int
) -> None:
    model = reference(model_type, settings)
    encoder = answer(model_type, settings, drop_first=0).build().eval()
    encoder.model.load_state_dict(FAMILIES[model_type].network(model).state_dict())
    size = sizes(model_type, settings)[0]
    images = torch.randn(2, 3, *size)
    features, states = encoder(images), outputs(model, model_type, images).hidden_states
    torch.testing.assert_close(features.tokens, states[-2], atol=1e-5, rtol=1e-5)
    rows, columns = encoder.answer.grid(size)
    assert features.grid == (rows, columns)
    assert rows * columns == features.tokens.shape[1]
    assert (rows == 1) == (prefix > 0)


def test_meta_device_allocates_nothing() -> None:
    with torch.device("meta"):
        encoder = TransformersVision(
            model_type="clip_vision_model", weights="nowhere/at-all"
        ).build()
    assert all(p.is_meta for p in encoder.parameters())


def test_published_sizes() -> None:
    settings = dict(
        hidden_size=1024,
        image_size=336,
        intermediate_size=4096,
        num_attention_heads=16,
        num_hidden_layers=24,
        patch_size=14,
    )
    clip = answer("clip_vision_model", settings)
    assert clip.grid((336, 336)) == (24, 24)
    assert (clip.width, clip.layers) == (1024, 23)
    with torch.device("meta"):
        assert sum(p.numel() for p in clip.build().parameters()) == 303_507_456


class TestPadding:
    """Idefics2's encoder leaves padded patches out; the others refuse padding."""

    SETTINGS = next(settings for name, settings, _ in CASES if name == "idefics2_vision")

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        images, valid = torch.randn(2, 3, 25, 35), torch.ones(2, 25, 35, dtype=torch.bool)
        valid[1, 15:], valid[1, :, 20:] = False, False
        return images, valid

    @pytest.mark.parametrize("taps", [(-2, 0), ()], ids=str)
    def test_a_padded_image_is_the_image_alone(self, taps: tuple[int, ...]) -> None:
        encoder = answer("idefics2_vision", self.SETTINGS, taps=taps).build().eval()
        images, valid = self.batch()
        together = encoder(images, valid)
        assert together.valid.sum(1).tolist() == [5 * 7, 3 * 4]
        alone = encoder(images[1:, :, :15, :20])
        torch.testing.assert_close(
            together.tokens[1, together.valid[1]], alone.tokens[0], atol=1e-5, rtol=1e-5
        )
        filled = torch.where(valid.unsqueeze(1), images, 9.0)
        after = encoder(filled, valid)
        torch.testing.assert_close(
            after.tokens[together.valid], together.tokens[together.valid], atol=0, rtol=0
        )
        assert not torch.allclose(encoder(filled).tokens[1, 0], together.tokens[1, 0], atol=1e-3)

    def test_equals_transformers_under_its_patch_mask(self) -> None:
        model = reference("idefics2_vision", self.SETTINGS)
        encoder = answer("idefics2_vision", self.SETTINGS, taps=()).build().eval()
        encoder.model.load_state_dict(model.state_dict())
        images, valid = self.batch()
        features = encoder(images, valid)
        mask = features.valid.unflatten(1, features.grid)
        expected = model(pixel_values=images, patch_attention_mask=mask).last_hidden_state
        torch.testing.assert_close(
            features.tokens[features.valid], expected[features.valid], atol=1e-5, rtol=1e-5
        )

    @pytest.mark.parametrize(
        "model_type",
        [n for n, family in FAMILIES.items() if not family.masks_padding and n not in PARTS],
    )
    def test_others_refuse_padding_and_accept_a_full_mask(self, model_type: str) -> None:
        settings = next(settings for name, settings, _ in CASES if name == model_type)
        encoder = answer(model_type, settings).build().eval()
        size = sizes(model_type, settings)[0]
        images, valid = torch.randn(1, 3, *size), torch.ones(1, *size, dtype=torch.bool)
        assert (encoder(images, valid).tokens == encoder(images).tokens).all()
        valid[:, -settings["patch_size"] :] = False
        with pytest.raises(Misuse, match="cannot leave out padding"):
            encoder(images, valid)


class TestWeights:
    """A checkpoint folder is read whole, or refused in one line."""

    SETTINGS = CASES[0][1]

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        reference("clip_vision_model", self.SETTINGS).save_pretrained(tmp_path)
        return tmp_path

    def test_read_exactly(self, folder: Path) -> None:
        made = answer("clip_vision_model", self.SETTINGS, weights=str(folder))
        model = FAMILIES["clip_vision_model"].model().from_pretrained(folder)
        state = FAMILIES["clip_vision_model"].network(model).state_dict()
        mine = made.build().model.state_dict()
        assert state.keys() == mine.keys()
        assert all((mine[name] == tensor).all() for name, tensor in state.items())

    def test_the_vision_half_of_a_whole_clip(self, tmp_path: Path) -> None:
        text = dict(hidden_size=6, num_attention_heads=1, num_hidden_layers=1, intermediate_size=5)
        config = CLIPConfig(
            vision_config=CLIPVisionConfig(**self.SETTINGS).to_dict(),
            text_config=CLIPTextConfig(**text, vocab_size=11).to_dict(),
        )
        model = CLIPModel(config)
        model.save_pretrained(tmp_path)
        made = answer("clip_vision_model", self.SETTINGS, weights=str(tmp_path)).build()
        theirs = FAMILIES["clip_vision_model"].network(model.vision_model).state_dict()
        assert all((made.model.state_dict()[name] == t).all() for name, t in theirs.items())

    def test_a_missing_tensor_is_named(self, folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        name = next(name for name in state if name.endswith("layers.1.mlp.fc1.weight"))
        del state[name]
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        made = answer("clip_vision_model", self.SETTINGS, weights=str(folder))
        with pytest.raises(ChiasmError, match=r"lacks 1 tensors .*layers\.1\.mlp\.fc1\.weight"):
            made.build()

    def test_other_settings_are_named(self, folder: Path) -> None:
        made = answer(
            "clip_vision_model", {**self.SETTINGS, "intermediate_size": 49}, weights=str(folder)
        )
        with pytest.raises(ChiasmError, match="intermediate_size is 47, the system says 49"):
            made.build()

    def test_another_activation_is_not_overlooked(self, folder: Path) -> None:
        made = answer(
            "clip_vision_model", {**self.SETTINGS, "hidden_act": "gelu"}, weights=str(folder)
        )
        with pytest.raises(ChiasmError, match="hidden_act is the default, the system says 'gelu'"):
            made.build()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "clop"}, "no vision model type 'clop'; known: clip_vision_model"),
        ({"model_type": "dinov2", "settings": (("width", 3),)}, "no setting 'width'"),
        ({"model_type": "dinov2", "taps": (13,)}, "tap 13 of a model of 12 layers"),
        ({"model_type": "dinov2", "taps": (-14,)}, "tap -14 of a model of 12 layers"),
        ({"model_type": "dinov2", "drop_first": -1}, "drop_first -1 is below 0"),
    ],
)
def test_misuse_is_said_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Misuse, match=said):
        TransformersVision(**fields)
