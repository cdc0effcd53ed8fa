"""Llama 3.2 Vision: cross-attention layers that read tiles, row by row; transformers' numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, check_cached, check_logits, one_line, prompt, saved, scores
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="flamingo", grade="matches")

ROWS, IMAGES, TILES = 17, 2, 3
RATIOS = [[1, 1], [1, 2], [3, 1], [2, 1]]
# (layers, which read images, query heads, key heads, patches a side, states beside the last, rope)
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CASES: list[tuple[int, list[int], int, int, int, list[int], dict[str, Any] | None]] = [
    (4, [1], 6, 2, 2, [1], None),
    (5, [1, 3], 4, 4, 3, [2, 0], LLAMA3),
    (4, [0, 3], 3, 1, 1, [2], None),  # before the first layer, and behind the last
    (6, [1, 2, 4, 5], 6, 3, 2, [0, 1, 2], None),  # two in a row
]


def config_of(seed: int, text: Any = None, vision: Any = None) -> Any:
    depth, crossing, heads, kv_heads, side, states, rope = CASES[seed]
    width = [20, 18][seed % 2]
    return transformers.MllamaConfig(
        vision_config={
            "hidden_size": width,
            "attention_heads": 2,
            "num_hidden_layers": 3,
            "num_global_layers": 2,
            "intermediate_size": 23,
            "vision_output_dim": width * (1 + len(states)),
            "image_size": 7 * side,
            "patch_size": 7,
            "max_num_tiles": TILES,
            "intermediate_layers_indices": states,
            "supported_aspect_ratios": RATIOS,
            **(vision or {}),
        },
        text_config={
            "vocab_size": [53, 61][seed % 2],
            "hidden_size": heads * [6, 10][seed % 2],
            "intermediate_size": 29,
            "num_hidden_layers": depth,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "cross_attention_layers": crossing,
            "rms_norm_eps": [1e-6, 1e-5][seed % 2],
            "rope_parameters": rope,
            "max_position_embeddings": 97,
            "bos_token_id": 1,
            "eos_token_id": None,
            "pad_token_id": 0,
            **(text or {}),
        },
        image_token_index=[53, 61][seed % 2],
    )


def given(config: Any, seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Samples of two images, one (and a blank), and none; rows that read any of the real tiles."""
    size = config.vision_config.image_size
    ids = prompt(config.text_config.vocab_size + 8, rows=ROWS, seed=seed)
    number = torch.tensor([[3, 1], [2, 0], [0, 0]])
    tiles = torch.tensor([[3, 1], [2, 0], [0, 0]])
    real = (torch.arange(TILES) < tiles.unsqueeze(-1)).long()
    generator = torch.Generator().manual_seed(seed)
    sight = torch.randint(2, (3, ROWS, IMAGES, TILES), generator=generator) * real.unsqueeze(1)
    sight[:, 4:7] = 0
    sight[:, -7:] = real.unsqueeze(1)  # what generated rows inherit
    media, other = (
        {
            "pixel_values": noise(3, IMAGES, TILES, 3, size, size, seed=s)
            * real[..., None, None, None],
            "aspect_ratio_ids": number,
            "aspect_ratio_mask": real,
            "cross_attention_mask": sight,
        }
        for s in (seed, seed + 9)
    )
    return ids, media, other


def model_of(seed: int, **changes: Any) -> Any:
    return transformers.MllamaForConditionalGeneration(config_of(seed, **changes))


class Told(torch.nn.Module):
    """Every chunk gets the whole mask of rows by tiles, of which its own rows are read."""

    def __init__(self, model: Any, sight: torch.Tensor) -> None:
        super().__init__()
        self.model, self.sight = model, sight

    def forward(self, input_ids: Any, cross_attention_mask: Any = None, **rest: Any) -> Any:
        return self.model(input_ids=input_ids, cross_attention_mask=self.sight, **rest)


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_logits_cache_and_generation(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path, seed)
    ours, (ids, media, other) = chiasm.load(str(tmp_path)), given(theirs.config, seed)
    if 0 in CASES[seed][1]:
        # Its own cache takes the length of the first layer, which here is the images', and fails.
        plain = theirs.generate
        theirs.generate = lambda **inputs: plain(**inputs, use_cache=False)
    check_everything(ours, theirs, ids, media, other, cached=False)
    told = Told(ours, media["cross_attention_mask"])
    check_cached(told, theirs, ids, prefill=13, chunk=1, **media)
    check_cached(told, theirs, ids, prefill=9, chunk=3, **media)


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_text_alone_leaves_the_layers_out(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path, seed)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config, seed)
    check_logits(ours, theirs, ids)
    check_cached(ours, theirs, ids, prefill=11, chunk=2)
    apart = scores(ours, input_ids=ids) - scores(ours, input_ids=ids, **media)
    assert apart.abs().amax((1, 2)).min() > 1e-2


def test_without_a_mask_rows_read_every_tile(tmp_path: Path) -> None:
    theirs = saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    sight = media.pop("cross_attention_mask")
    # Its fused attention takes a missing mask for a causal one; its plain attention does not.
    theirs.set_attn_implementation("eager")
    check_logits(ours, theirs, ids, **media)
    check_cached(ours, theirs, ids, prefill=11, chunk=2, **media)
    apart = scores(ours, input_ids=ids, **media) - scores(
        ours, input_ids=ids, cross_attention_mask=sight, **media
    )
    assert apart[0].abs().max() > 1e-2


def test_one_image_of_one_sample(tmp_path: Path) -> None:
    theirs = saved(model_of(1), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    media["cross_attention_mask"] = media["cross_attention_mask"][:, :, :1]
    one = {name: each[1:2] for name, each in media.items()}
    one |= {n: one[n][:, :1] for n in ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask")}
    check_logits(ours, theirs, ids[1:2], **one)


def test_words_beyond_the_head_are_read(tmp_path: Path) -> None:
    theirs = saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    ids[:, 2] = torch.arange(58, 61)
    assert scores(ours, input_ids=ids, **media).shape[-1] == 53
    check_logits(ours, theirs, ids, **media)


def test_gradients_reach_every_weight_that_theirs_do(tmp_path: Path) -> None:
    theirs = saved(model_of(3), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    # The pairs of our names and theirs, in the loaded module's own spelling.
    held = dict(theirs.named_parameters())
    weights = noise(3, ROWS, 61)
    for model in (ours, theirs):
        (model(input_ids=ids, **media).logits * weights).mean().backward()
    _, names = opened(theirs.config)
    written = {names.spelt(name): one for name, one in held.items()}
    found = dict(ours.model.named_parameters())
    assert len(found) == len(written)
    for name, parameter in found.items():
        wanted = written[names.theirs(name)].grad
        torch.testing.assert_close(parameter.grad, wanted, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_export(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path / "first", seed)
    ids, media, _ = given(theirs.config)
    auto = transformers.AutoModelForImageTextToText
    again = check_export(theirs, auto, tmp_path, ids, media)
    assert again.config.text_config.cross_attention_layers == CASES[seed][1]


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.MllamaModel(config_of(3)), tmp_path)
    ids, media, _ = given(theirs.config)
    check_headless(theirs, tmp_path, ids, media)


def test_an_image_that_is_one_tile(tmp_path: Path) -> None:
    """Plain images, as training collates them, are one tile of the first aspect ratio."""
    saved(model_of(0), tmp_path)
    encoder = chiasm.load(str(tmp_path)).model.encoder
    images = noise(2, 3, 14, 14)
    tiles = torch.cat([images.unsqueeze(1), torch.zeros(2, TILES - 1, 3, 14, 14)], 1)
    with torch.no_grad():
        alone, whole = encoder(images), encoder(tiles, torch.tensor([[1, 1, 0, 0]] * 2))
    assert alone.tokens.shape[1] == 5 == whole.tokens.shape[1] // TILES
    torch.testing.assert_close(alone.tokens, whole.tokens[:, :5], **CLOSE)


def test_inputs_that_do_not_fit_are_named(tmp_path: Path) -> None:
    saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(config_of(0))
    pixels, sight = media["pixel_values"], media["cross_attention_mask"]
    for change, said in (
        ({"pixel_values": pixels[:, :, 1:]}, "(3, 2, 2, 3, 14, 14)"),
        ({"aspect_ratio_ids": None}, "aspect_ratio_ids is missing"),
        ({"aspect_ratio_ids": media["aspect_ratio_ids"] + 2}, "run from 2 to 5"),
        ({"aspect_ratio_mask": sight}, "aspect_ratio_mask is (3, 17, 2, 3)"),
        ({"cross_attention_mask": sight[:, 1:]}, "(3, 16, 2, 3) for rows of (3, 17)"),
        ({"cross_attention_mask": sight[:, :, 1:]}, "(3, 17, 1, 3) for rows of (3, 17)"),
    ):
        with pytest.raises(ChiasmError) as error:
            ours(input_ids=ids, **{**media, **change, **_cut(change)})
        assert said in one_line(error)
    past = ours(input_ids=ids, **media).past_key_values
    with pytest.raises(ChiasmError, match="earlier call"):
        ours(input_ids=ids, past_key_values=past, **media)


def _cut(change: dict[str, Any]) -> dict[str, Any]:
    """Nothing more but where the mask would be named before the pixels."""
    return {"cross_attention_mask": None} if "pixel_values" in change else {}


@pytest.mark.parametrize(
    ("text", "vision", "said"),
    [
        ({"dropout": 0.5}, {}, "dropout = 0.5"),
        ({"cross_attention_layers": [0, 1, 2, 3]}, {}, "cross_attention_layers = [0, 1, 2, 3]"),
        ({}, {"vision_output_dim": 61}, "vision_output_dim = 61"),
    ],
)
def test_what_is_not_run_is_refused(text: Any, vision: Any, said: str) -> None:
    with pytest.raises(ChiasmError) as error:
        opened(config_of(0, text, vision))
    assert said in one_line(error)
