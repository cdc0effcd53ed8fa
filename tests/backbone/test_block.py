"""One block by its equations, and the runs it touches."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import HOST, close, reading_of

from chiasm.backbone.attention import Runs, Step
from chiasm.backbone.block import Block, put
from chiasm.experts import SharedWeights
from chiasm.layers import Rotary, RotaryTables, attend_slowly, merge_heads, rotate, split_heads
from chiasm.stream import Permission, TokenTable

EVERY = slice(0, 5)
FULL = Runs(EVERY, EVERY, EVERY, EVERY)


def step(rotary: RotaryTables, x: torch.Tensor) -> Step:
    """Every row does everything, in causal order."""
    table = TokenTable.text(torch.ones(x.shape[:2], dtype=torch.bool))
    return Step(FULL, rotary, Permission(causal=True), reading_of(table))


def rms(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * weight


@pytest.mark.parametrize("extras", [False, True], ids=["llama", "with biases and norms"])
def test_a_block_is_its_equations(extras):
    """x + W_o attention(rope(W_q n), rope(W_k n), W_v n) with n = norm x; then x + mlp(norm x)."""
    host = replace(
        HOST,
        query_key_value_bias=extras,
        output_bias=extras,
        mlp_bias=extras,
        query_key_norm=extras,
    )
    torch.manual_seed(0)
    block = Block(host, 0, SharedWeights().weights(host))
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(2, 5, host.width)
    rotary = Rotary(torch.tensor([1.0, 0.3, 0.1]))(torch.arange(5.0).view(1, 5, 1).expand(2, 5, 1))
    got = block(x, step(rotary, x))

    attention, eps = block.self_attn, host.norm_eps
    n = rms(x, block.input_layernorm.weight, eps)
    q, k, v = (
        split_heads(projection(n), heads)
        for projection, heads in (
            (attention.q_proj, host.heads),
            (attention.k_proj, host.kv_heads),
            (attention.v_proj, host.kv_heads),
        )
    )
    if extras:
        q, k = rms(q, attention.q_norm.weight, eps), rms(k, attention.k_norm.weight, eps)
    mask = torch.ones(5, 5).tril().bool().expand(2, 5, 5)
    read = attend_slowly(rotate(q, rotary), rotate(k, rotary), v, mask)
    h = x + attention.o_proj(merge_heads(read))
    n = rms(h, block.post_attention_layernorm.weight, eps)
    mlp = block.mlp
    expected = h + mlp.down_proj(torch.nn.functional.silu(mlp.gate_proj(n)) * mlp.up_proj(n))
    close(got, expected, 1e-6)


@pytest.mark.parametrize("rows", [slice(0, 5), slice(0, 2), slice(1, 4), slice(3, 5), slice(2, 2)])
def test_putting_a_run_leaves_the_other_rows(rows):
    hidden = torch.zeros(2, 5, 3)
    new = torch.ones(2, len(range(*rows.indices(5))), 3)
    got = put(hidden, rows, new)
    expected = hidden.clone()
    expected[:, rows] = 1
    assert torch.equal(got, expected)
    assert torch.equal(hidden, torch.zeros(2, 5, 3))


def test_putting_changes_only_the_rows_that_may_change():
    changes = torch.tensor([[True, False, True]]).unsqueeze(-1)
    got = put(torch.zeros(1, 3, 2), slice(0, 3), torch.ones(1, 3, 2), changes)
    assert got[0, :, 0].tolist() == [1.0, 0.0, 1.0]
