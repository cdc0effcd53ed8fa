"""IDEFICS: gated blocks that read resampled images, row by row; transformers' numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, check_cached, one_line, prompt, saved, scores
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="flamingo", grade="matches")

SIZE = 14
IMAGES = 3
# (layers, every, resampler, norms of queries and keys, of the resampler's, gates, new words, tied)
CASES = [
    (4, 2, True, True, True, "float", 3, False),
    (3, 1, False, False, False, "vector", 0, False),
    (3, 3, True, False, False, "float", 2, True),
    (4, 4, False, True, False, "vector", 5, True),
]


def config_of(seed: int, **changes: Any) -> Any:
    depth, every, resampler, norms, inner, gates, more, tied = CASES[seed]
    entries: dict[str, Any] = dict(
        vocab_size=[53, 61][seed % 2],
        additional_vocab_size=more,
        hidden_size=[24, 30][seed % 2],
        intermediate_size=29,
        num_hidden_layers=depth,
        num_attention_heads=[2, 3][seed % 2],
        cross_layer_interval=every,
        qk_layer_norms=norms,
        alpha_type=gates,
        use_resampler=resampler,
        tie_word_embeddings=tied,
        rms_norm_eps=[1e-6, 1e-5][seed % 2],
        vision_config=dict(
            embed_dim=20,
            image_size=SIZE,
            patch_size=7,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=23,
        ),
        perceiver_config=dict(
            use_resampler=resampler,
            resampler_n_latents=3,
            resampler_depth=2,
            resampler_n_heads=2,
            resampler_head_dim=5,
            qk_layer_norms_perceiver=inner,
        ),
    )
    return transformers.IdeficsConfig(**{**entries, **changes})


def given(config: Any, seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Rows that read none, one or several of their images, in no order; one sample reads none."""
    size = config.vocab_size + config.additional_vocab_size
    ids = prompt(size, rows=17, seed=seed)
    ids[0, 6:9] = torch.arange(size - 3, size)
    generator = torch.Generator().manual_seed(seed)
    sight = torch.randint(2, (3, 17, IMAGES), generator=generator)
    sight[:, -7:] = sight[:, -7:-6]  # what a cache and generated rows inherit
    sight[2] = 0
    media, other = (
        {
            "pixel_values": noise(3, IMAGES, 3, SIZE, SIZE, seed=s),
            "image_attention_mask": sight,
        }
        for s in (seed, seed + 9)
    )
    assert sight[0, -1].any() and not sight[0, :, 0].all()
    return ids, media, other


def model_of(seed: int, **changes: Any) -> Any:
    return transformers.IdeficsForVisionText2Text(config_of(seed, **changes))


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_logits_and_generation(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path, seed)
    ours, (ids, media, other) = chiasm.load(str(tmp_path)), given(theirs.config, seed)
    check_everything(ours, theirs, ids, media, other, cached=False)
    difference = scores(ours, input_ids=ids, **other) - scores(ours, input_ids=ids, **media)
    assert difference[2].abs().max() == 0


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_a_cache_remembers_the_images(seed: int, tmp_path: Path) -> None:
    """Rows after the first chunk read what its last row reads."""
    theirs = saved(model_of(seed), tmp_path, seed)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config, seed)

    class Cut(torch.nn.Module):
        """The first chunk gets its own rows of the mask."""

        def forward(self, input_ids: Any, image_attention_mask: Any = None, **rest: Any) -> Any:
            if image_attention_mask is not None:
                rest["image_attention_mask"] = image_attention_mask[:, : input_ids.shape[1]]
            return ours(input_ids=input_ids, **rest)

    check_cached(Cut(), theirs, ids, prefill=13, chunk=1, **media)
    check_cached(Cut(), theirs, ids, prefill=12, chunk=3, **media)


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_export(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path / "first", seed)
    ids, media, _ = given(theirs.config)
    check_export(theirs, transformers.IdeficsForVisionText2Text, tmp_path, ids, media)


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.IdeficsModel(config_of(0)), tmp_path)
    ids, media, _ = given(theirs.config)
    check_headless(theirs, tmp_path, ids, media)


def test_a_sample_alone_is_as_in_the_batch(tmp_path: Path) -> None:
    saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(config_of(0))
    alone = scores(ours, input_ids=ids[1:2], **{name: one[1:2] for name, one in media.items()})
    torch.testing.assert_close(alone, scores(ours, input_ids=ids, **media)[1:2], **CLOSE)


def test_masks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(config_of(0))
    sight = media["image_attention_mask"]
    for wrong in (sight[:, 1:], sight[:, :, 1:]):
        with pytest.raises(ChiasmError) as error:
            ours(input_ids=ids, pixel_values=media["pixel_values"], image_attention_mask=wrong)
        assert f"{tuple(wrong.shape)} for rows of (3, 17)" in one_line(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dropout": 0.5}, "dropout = 0.5"),
        ({"cross_layer_interval": 3}, "cross_layer_interval = 3"),
        ({"alpha_type": "matrix"}, "alpha_type = 'matrix'"),
    ],
)
def test_what_is_not_run_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ChiasmError) as error:
        opened(config_of(0, **change))
    assert said in one_line(error)
