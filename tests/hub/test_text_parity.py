"""Decoders of the Llama family: the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    CLOSE,
    TEXT_FAMILIES,
    check_cached,
    check_generation,
    check_logits,
    one_line,
    prompt,
    saved,
    scores,
    text_config,
)
from transformers import AutoModel, AutoModelForCausalLM

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub import KeywordModel

CASES = [(family, seed) for family in TEXT_FAMILIES for seed in range(3)]
ROPES: dict[str, dict[str, Any]] = {
    "linear": {"factor": 3.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 13},
    "llama3": {
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 13,
    },
}


def pair(config: Any, folder: Path, seed: int = 0) -> tuple[Any, Any]:
    theirs = saved(AutoModelForCausalLM.from_config(config), folder, seed)
    return chiasm.load(str(folder)), theirs


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_logits_cache_and_generation(family: str, seed: int, tmp_path: Path) -> None:
    config = text_config(family, seed)
    ours, theirs = pair(config, tmp_path, seed)
    ids = prompt(config.vocab_size, seed=seed)
    check_logits(ours, theirs, ids)
    check_cached(ours, theirs, ids, prefill=1, chunk=1)
    check_cached(ours, theirs, ids, prefill=5, chunk=3)
    check_generation(ours, theirs, ids)


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_batched_equals_single(family: str, tmp_path: Path) -> None:
    ours, _ = pair(text_config(family, 0), tmp_path)
    ids = prompt(53)
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    batched = scores(ours, input_ids=ids, attention_mask=mask)
    alone = scores(ours, input_ids=ids[1:2, 4:])
    torch.testing.assert_close(batched[1:2, 4:], alone, **CLOSE)


@pytest.mark.parametrize("kind", ROPES)
def test_scaled_rotary_positions(kind: str, tmp_path: Path) -> None:
    config = text_config("llama", 0)
    config.rope_parameters = {"rope_type": kind, "rope_theta": 1e4, **ROPES[kind]}
    ours, theirs = pair(config, tmp_path)
    ids = prompt(config.vocab_size, rows=41)
    check_logits(ours, theirs, ids)
    config.rope_parameters = {"rope_type": "default", "rope_theta": 1e4}
    plain_model = AutoModelForCausalLM.from_config(config)
    plain_model.load_state_dict(theirs.state_dict())
    # The scaling must matter here (but for dynamic, which starts beyond the context).
    apart = (scores(plain_model.eval(), input_ids=ids) - scores(theirs, input_ids=ids)).abs().max()
    assert (apart > 1e-2) == (kind != "dynamic")


def test_dynamic_rotary_beyond_the_context_is_refused(tmp_path: Path) -> None:
    config = text_config("llama", 0)
    config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    ours, _ = pair(config, tmp_path)
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=prompt(config.vocab_size, rows=98))
    assert "98" in one_line(error) and "97" in one_line(error)


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_headless_checkpoints_give_hidden_states(family: str, tmp_path: Path) -> None:
    config = text_config(family, 1)
    theirs = saved(AutoModel.from_config(config), tmp_path)
    ours = chiasm.load(str(tmp_path))
    ids = prompt(config.vocab_size)
    with torch.no_grad():
        wanted, found = theirs(input_ids=ids), ours(input_ids=ids)
    torch.testing.assert_close(found.last_hidden_state, wanted.last_hidden_state, **CLOSE)
    assert "logits" not in found


def test_loss_positions_embeddings_and_kept_rows(tmp_path: Path) -> None:
    config = text_config("qwen2", 1)
    ours, theirs = pair(config, tmp_path)
    ids = prompt(config.vocab_size)
    labels = ids.clone()
    labels[:, :3] = -100
    with torch.no_grad():
        wanted, found = theirs(input_ids=ids, labels=labels), ours(input_ids=ids, labels=labels)
    torch.testing.assert_close(found.loss, wanted.loss, **CLOSE)
    for kept in (1, 4, torch.tensor([0, 6])):
        given = {"input_ids": ids, "logits_to_keep": kept}
        torch.testing.assert_close(scores(ours, **given), scores(theirs, **given), **CLOSE)
    positions = torch.arange(ids.shape[1])[None] * 2
    given = {"input_ids": ids, "position_ids": positions}
    apart = scores(ours, **given)
    torch.testing.assert_close(apart, scores(theirs, **given), **CLOSE)
    assert (apart - scores(ours, input_ids=ids)).abs().max() > 1e-3
    embedded = theirs.get_input_embeddings()(ids)
    given = {"inputs_embeds": embedded}
    torch.testing.assert_close(scores(ours, **given), scores(theirs, **given), **CLOSE)


def test_gradients_equal(tmp_path: Path) -> None:
    config = text_config("qwen3", 0)
    ours, theirs = pair(config, tmp_path)
    ids = prompt(config.vocab_size)
    ours(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    theirs(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    blocks = ours.model.decoder.stack.layers
    for layer, block in enumerate(theirs.model.layers):
        for name, parameter in block.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0
            torch.testing.assert_close(
                blocks[layer].get_parameter(name).grad, parameter.grad, **CLOSE
            )


def test_sampling_is_fixed_by_its_seed(tmp_path: Path) -> None:
    config = text_config("llama", 0)
    ours, _ = pair(config, tmp_path)
    ids = prompt(config.vocab_size)

    def drawn(seed: int) -> torch.Tensor:
        return ours.generate(ids, max_new_tokens=8, do_sample=True, temperature=1.5, seed=seed)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_dtype_is_the_checkpoints_or_the_one_asked_for(tmp_path: Path) -> None:
    config = text_config("llama", 1)
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    own, asked = chiasm.load(str(tmp_path)), chiasm.load(str(tmp_path), dtype=torch.float32)
    assert isinstance(own, KeywordModel)
    assert {p.dtype for p in own.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in asked.parameters()} == {torch.float32}
    # Rotary frequencies lose whole positions in bfloat16.
    assert own.model.decoder.stack.rotary.frequencies.dtype == torch.float32


def test_mask_and_cache_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    ours, _ = pair(text_config("llama", 0), tmp_path)
    ids = prompt(53)
    past = ours(input_ids=ids).past_key_values
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=past)
    assert "(3, 11)" in one_line(error) and "(3, 22)" in one_line(error)
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=ids + 70)
    assert "vocabulary" in one_line(error)


@pytest.mark.parametrize(
    ("family", "setting", "value"),
    [
        ("llama", "rope_parameters", {"rope_type": "longrope", "rope_theta": 1e4}),
        ("llama", "hidden_act", "nonesuch"),
        ("llama", "attention_dropout", 0.1),
        ("qwen2", "layer_types", ["full_attention", "chunked_attention", "full_attention"]),
    ],
)
def test_settings_without_a_counterpart_are_named(
    family: str, setting: str, value: Any, tmp_path: Path
) -> None:
    from chiasm.hub.hosts import host_of

    config = text_config(family, 0)
    setattr(config, setting, value)
    with pytest.raises(ChiasmError) as error:
        host_of(config)
    assert setting in one_line(error)


def test_foreign_architectures_are_named(tmp_path: Path) -> None:
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=31,
            hidden_size=12,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=13,
        )
    ).save_pretrained(tmp_path)
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(tmp_path))
    assert "'bert'" in one_line(error) and "llama" in one_line(error)
