"""Mamba-2 folders: the same numbers as transformers, in both directions."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    CLOSE,
    check_cached,
    check_generation,
    check_logits,
    masks,
    one_line,
    prompt,
    saved,
    scores,
)
from transformers import AutoModel, AutoModelForCausalLM

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub import KeywordModel, export, exportable

SEEDS = range(6)


def config_of(seed: int, **changed: Any) -> Any:
    """A random tiny config: groups, kernels, chunks, ties, bounded steps."""
    draw = random.Random(f"mamba2{seed}")
    groups = draw.choice([1, 2, 3])
    heads = groups * draw.choice([2, 4])
    head_width = draw.choice([4, 6, 10])
    expand = draw.choice([1, 2])
    settings: dict[str, Any] = dict(
        vocab_size=draw.choice([53, 61, 71]),
        hidden_size=heads * head_width // expand,
        expand=expand,
        num_heads=heads,
        head_dim=head_width,
        n_groups=groups,
        state_size=draw.choice([3, 5, 8]),
        num_hidden_layers=3,
        conv_kernel=draw.choice([2, 3, 4]),
        chunk_size=draw.choice([2, 5, 64]),
        use_conv_bias=draw.random() < 0.5,
        layer_norm_epsilon=draw.choice([1e-6, 1e-5]),
        time_step_limit=draw.choice([(0.0, float("inf")), (0.2, 0.8)]),
        tie_word_embeddings=bool(seed % 2),
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )
    return transformers.Mamba2Config(**{**settings, **changed})


def pair(config: Any, folder: Path, seed: int = 0) -> tuple[Any, Any]:
    theirs = saved(AutoModelForCausalLM.from_config(config), folder, seed)
    return chiasm.load(str(folder)), theirs


@pytest.mark.parametrize("seed", SEEDS)
def test_logits_under_either_padding_and_in_pieces(seed: int, tmp_path: Path) -> None:
    config = config_of(seed)
    ours, theirs = pair(config, tmp_path, seed)
    ids = prompt(config.vocab_size, seed=seed)
    check_logits(ours, theirs, ids)
    check_cached(ours, theirs, ids, prefill=1, chunk=1)
    check_cached(ours, theirs, ids, prefill=5, chunk=3)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_equal_the_cached_steps_of_transformers(seed: int, tmp_path: Path) -> None:
    """transformers bounds delta in a scan but not in a step: here both agree."""
    config = config_of(seed, time_step_limit=(0.0, float("inf")))
    ours, theirs = pair(config, tmp_path, seed)
    check_generation(ours, theirs, prompt(config.vocab_size, seed=seed))
    ids = prompt(config.vocab_size, rows=9, seed=seed)
    mask = dict(masks(*ids.shape))["left"]
    with torch.no_grad():
        wanted = theirs(input_ids=ids[:, :6], attention_mask=mask[:, :6], use_cache=True)
        found = ours(input_ids=ids[:, :6], attention_mask=mask[:, :6], use_cache=True)
        for at in range(6, 9):
            row = ids[:, at : at + 1]
            wanted = theirs(input_ids=row, cache_params=wanted.cache_params, use_cache=True)
            found = ours(
                input_ids=row,
                attention_mask=mask[:, : at + 1],
                past_key_values=found.past_key_values,
            )
            torch.testing.assert_close(found.logits, wanted.logits, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_with_biases_padding_still_changes_nothing(side: str, tmp_path: Path) -> None:
    """A bias makes transformers' left padding visible to its convolution; alone, rows agree."""
    config = config_of(1, use_bias=True)
    ours, theirs = pair(config, tmp_path)
    ids = prompt(config.vocab_size)
    mask = dict(masks(*ids.shape))[side]
    found = scores(ours, input_ids=ids, attention_mask=mask)
    for sample in range(len(ids)):
        real = mask[sample].bool()
        wanted = scores(theirs, input_ids=ids[sample : sample + 1, real])
        torch.testing.assert_close(found[sample, real], wanted[0], **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_there_and_back(seed: int, tmp_path: Path) -> None:
    config = config_of(seed)
    ours, theirs = pair(config, tmp_path / "first", seed)
    assert exportable(ours) is None
    export(ours, tmp_path / "second")
    again, told = AutoModelForCausalLM.from_pretrained(
        tmp_path / "second", output_loading_info=True
    )
    assert not any(told[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = prompt(config.vocab_size)
    wanted = scores(theirs, input_ids=ids)
    torch.testing.assert_close(scores(again.eval(), input_ids=ids), wanted, **CLOSE)
    assert tuple(again.config.time_step_limit) == config.time_step_limit
    assert again.config.chunk_size == config.chunk_size


def test_a_headless_folder(tmp_path: Path) -> None:
    config = config_of(2)
    theirs = saved(AutoModel.from_config(config), tmp_path)
    ours = chiasm.load(str(tmp_path))
    assert isinstance(ours, KeywordModel) and ours.headless
    ids = prompt(config.vocab_size)
    with torch.no_grad():
        found, wanted = (m(input_ids=ids).last_hidden_state for m in (ours, theirs))
    torch.testing.assert_close(found, wanted, **CLOSE)


def test_the_first_releases_spelling(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    config = config_of(3, tie_word_embeddings=False)
    _, theirs = pair(config, tmp_path)
    file = tmp_path / "model.safetensors"
    state = {n.replace("embeddings.", "embedding."): v for n, v in load_file(file).items()}
    save_file(state, file, metadata={"format": "pt"})
    ids = prompt(config.vocab_size)
    check_logits(chiasm.load(str(tmp_path)), theirs, ids)


def test_an_inner_width_that_transformers_cannot_say_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from chiasm.assemble import build

    ours, _ = pair(config_of(4), tmp_path)
    host = ours.model.answers.host
    wider = replace(host, mixer=replace(host.mixer, heads=host.mixer.heads + host.mixer.groups))
    with pytest.raises(ChiasmError) as error:
        export(build(replace(ours.model.answers, host=wider)), tmp_path / "out")
    assert "no multiple of the host's" in one_line(error)
