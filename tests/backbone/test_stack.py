"""The stack around its blocks."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import HOST, close
from torch import nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from chiasm.backbone import Decoder, GrowingCache, Stack
from chiasm.backbone.rotary import rotary_of
from chiasm.experts import SharedWeights
from chiasm.layers import rotate
from chiasm.spec import Host
from chiasm.spec.slots import Slots
from chiasm.stream import RowPlan, Stream, TokenTable
from chiasm.visibility import Causal, Everything, Window, dense_permission, materialise


def stack(host: Host = HOST, **changed) -> Stack:
    torch.manual_seed(0)
    settings = dict(
        rules=[Causal(), Causal() & Window(2)],
        memory_rule=Everything(),
        permit=materialise,
        permit_masked=dense_permission,
        weights=SharedWeights().weights(host),
    )
    settings |= changed
    return Stack(host, **{"plans": [RowPlan()] * len(settings["rules"]), **settings})


def stream(rows: int = 5) -> Stream:
    embeddings = torch.randn(2, rows, HOST.width, generator=torch.Generator().manual_seed(1))
    return Stream(embeddings, TokenTable.text(torch.ones(2, rows, dtype=torch.bool)))


def test_every_layer_needs_its_rule():
    with pytest.raises(ValueError, match="1 visibility rules given for 2 layers"):
        stack(rules=[Causal()], plans=[RowPlan()] * 2)


def test_inputs_of_every_layer_are_handed_out():
    made, given = stack(), stream()
    inputs: list[torch.Tensor] = []
    out = made(given, inputs=inputs)
    assert torch.equal(inputs[0], given.embeddings)
    assert len(inputs) == 2 and out.shape == given.embeddings.shape
    assert not torch.equal(out, inputs[1])


def test_a_layer_obeys_its_own_rule():
    """Row 0 reaches row 4 through layer 0 only; without that layer's reach it would not."""
    narrow = stack(rules=[Causal() & Window(2)] * 2)
    for made, reaches in ((stack(), True), (narrow, False)):
        one = stream()
        other = one.embeddings.clone()
        other[:, 0] += 1
        moved = (made(one) != made(replace(one, embeddings=other)))[:, 4].any()
        assert bool(moved) == reaches


def test_a_rule_is_made_concrete_once_for_all_layers_that_share_it():
    made: list[object] = []

    def counting(rule, queries, keys):
        made.append(rule)
        return materialise(rule, queries, keys)

    stack(rules=[Causal()] * 3, permit=counting)(stream())
    assert made == [Causal()]


class Doubling(nn.Module):
    def forward(self, hidden, reading):
        return 2 * hidden


def test_a_before_slot_acts_as_its_layer_begins():
    given = stream()
    with_slot = stack(slots=Slots(before={0: Doubling()}))
    close(with_slot(given), stack()(replace(given, embeddings=2 * given.embeddings)), 1e-6)


@pytest.mark.parametrize(
    "scaling",
    [
        {},
        {"rope_type": "linear", "factor": 2.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ],
    ids=lambda scaling: scaling.get("rope_type", "default"),
)
def test_rotary_positions_are_transformers_own(scaling):
    host = replace(HOST, rope_theta=5000.0, rope_scaling=tuple(scaling.items()))
    config = LlamaConfig(
        hidden_size=host.heads * host.head_width,
        num_attention_heads=host.heads,
        head_dim=host.head_width,
        max_position_embeddings=host.max_positions,
        rope_parameters={"rope_theta": 5000.0, "rope_type": "default", **scaling},
    )
    positions = torch.tensor([[0, 1, 7, 300]])
    x = torch.randn(1, host.heads, 4, host.head_width, generator=torch.Generator().manual_seed(0))
    cos, sin = LlamaRotaryEmbedding(config)(x, positions)
    expected, _ = apply_rotary_pos_emb(x, x, cos, sin)
    close(rotate(x, rotary_of(host)(positions.float().unsqueeze(-1))), expected, 1e-6)


def test_a_decoder_norms_what_the_stack_gives():
    decoder, given = Decoder(HOST, stack(), SharedWeights().weights(HOST)), stream()
    close(decoder(given), decoder.norm(decoder.stack(given)), 0.0)


def test_cached_keys_are_bytes_of_the_hosts_shape():
    cache = GrowingCache()
    stack()(stream(), cache=cache)
    assert cache.bytes == 2 * 2 * (2 * HOST.kv_heads * 5 * HOST.head_width) * 4
