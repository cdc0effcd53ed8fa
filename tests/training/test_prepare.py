from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.toy import HOST as TOY_HOST
from tests.training.toy import toy
from transformers import LlamaConfig, LlamaForCausalLM

from chiasm.data import load
from chiasm.data.tokenizer import fit_tokenizer, open_tokenizer
from chiasm.errors import ChiasmError
from chiasm.experts import AdaptedWeights, LoRA, Router, TopLogits, everyone
from chiasm.experts.adapters import EVERY_SITE
from chiasm.fusion import GatedCrossAttention
from chiasm.lineages.expert_language import fine_grained
from chiasm.spec import Host, Scale, System
from chiasm.training import prepare

HOST = replace(TOY_HOST, heads=2)
"""Transformers wants heads that divide the width."""


def published(data: Path, folder: Path, width: int = HOST.width) -> Host:
    """A tiny published language model in `folder`, and the host that names it."""
    tokenizer = fit_tokenizer(load(str(data)).texts(), HOST.vocabulary)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=HOST.ff_width,
        num_hidden_layers=HOST.depth,
        num_attention_heads=HOST.heads,
        num_key_value_heads=HOST.kv_heads,
        head_dim=HOST.head_width,
        tie_word_embeddings=HOST.tied_head,
        max_position_embeddings=HOST.max_positions,
        bos_token_id=None,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return replace(HOST, vocabulary=len(tokenizer), weights=str(folder))


def gated(host: Host) -> System:
    """The toy at smol scale, its layers preceded by blocks that no published model has."""
    fusion = GatedCrossAttention(every=2, heads=1, head_width=4, ff_multiple=1)
    return replace(toy(), scales={Scale.SMOL: replace(toy().at("nano"), host=host, fusion=fusion)})


def test_from_nothing_the_vocabulary_is_the_tokenizers(data: Path) -> None:
    model, tokenizer, template = prepare(toy(), "nano", load(str(data)), 5)
    assert model.answers.host.vocabulary == len(tokenizer) < HOST.vocabulary
    assert model.decoder.embed_tokens.weight.shape[0] == len(tokenizer)
    assert template.name == "nano"
    again, _, _ = prepare(toy(), "nano", load(str(data)), 5)
    other, _, _ = prepare(toy(), "nano", load(str(data)), 6)
    pairs = list(zip(model.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


def test_a_published_host_fills_its_own_tensors_and_no_others(data: Path, tmp_path: Path) -> None:
    system = gated(published(data, tmp_path))
    model, tokenizer, _ = prepare(system, "smol", load(str(data)), 5)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.equal(model.decoder.embed_tokens.weight, theirs.model.embed_tokens.weight)
    for ours, block in zip(model.decoder.stack.layers, theirs.model.layers, strict=True):
        assert torch.equal(ours.mlp.down_proj.weight, block.mlp.down_proj.weight)
        assert torch.equal(ours.self_attn.k_proj.weight, block.self_attn.k_proj.weight)
    assert model.head.lm_head.weight is model.decoder.embed_tokens.weight
    assert tokenizer.get_vocab() == open_tokenizer(tmp_path).get_vocab()
    fresh = model.decoder.stack.before["0"].to_q.weight
    other, _, _ = prepare(system, "smol", load(str(data)), 6)
    assert not torch.equal(fresh, other.decoder.stack.before["0"].to_q.weight)


def test_a_published_host_of_other_sizes_is_refused(data: Path, tmp_path: Path) -> None:
    host = replace(published(data, tmp_path, width=26), width=HOST.width)
    with pytest.raises(ChiasmError, match=r"\(\d+, 26\)") as refusal:
        prepare(gated(host), "smol", load(str(data)), 5)
    assert "\n" not in str(refusal.value)


def test_mixed_experts_start_as_the_published_feed_forward(data: Path, tmp_path: Path) -> None:
    """Experts of its width are copies of it, narrower ones take its units in turn."""
    host = published(data, tmp_path)
    half = HOST.ff_width // 2
    router = Router(eligibility=everyone(3), selection=TopLogits(2), penalties=())
    for hidden in (None, half):
        experts = fine_grained(router, hidden=hidden, shared=half)
        answers = replace(toy().at("nano"), host=host, experts=experts)
        system = replace(toy(), scales={Scale.SMOL: answers})
        model, _, _ = prepare(system, "smol", load(str(data)), 5)
        theirs = LlamaForCausalLM.from_pretrained(tmp_path).eval()
        for ours, block in zip(model.decoder.stack.layers, theirs.model.layers, strict=True):
            up, down = block.mlp.up_proj.weight, block.mlp.down_proj.weight
            for expert in range(3):
                width = HOST.ff_width if hidden is None else hidden
                units = (torch.arange(width) + expert * width) % HOST.ff_width
                assert torch.equal(ours.mlp.up_proj.weight[expert], up[units].T)
                assert torch.equal(ours.mlp.down_proj.weight[expert], down[:, units].T)
            assert torch.equal(ours.mlp.shared.down_proj.weight, down[:, :half])
            assert torch.equal(ours.self_attn.k_proj.weight, block.self_attn.k_proj.weight)


def test_adapters_stay_as_they_were_drawn(data: Path, tmp_path: Path) -> None:
    host = published(data, tmp_path)
    lora = LoRA(sites=EVERY_SITE, rank=2, alpha=4.0, dropout=0.0)
    answers = replace(toy().at("nano"), host=host, experts=AdaptedWeights((lora,)))
    model, _, _ = prepare(replace(toy(), scales={Scale.SMOL: answers}), "smol", load(str(data)), 5)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    for ours, block in zip(model.decoder.stack.layers, theirs.model.layers, strict=True):
        assert torch.equal(ours.mlp.up_proj.weight, block.mlp.up_proj.weight)
        assert not bool(ours.mlp.up_proj.experts[0].b.any())
