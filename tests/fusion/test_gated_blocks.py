"""Gated blocks built like the host's: their equation, closed gates, the cache, the bill by hand."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import close, reading_of

from chiasm.backbone import GrowingCache
from chiasm.fusion import GatedBlocks
from chiasm.fusion.gated_blocks import HostlikeBlock
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.lineages.hosts import NANO
from chiasm.spec.reading import Reading
from chiasm.stream import Memory, Permission, TokenTable

MEMORY, ROWS, TOKENS = 11, 4, 6
HOST = replace(NANO, width=14, heads=2, kv_heads=2, head_width=7, ff_width=13)
CONFIGS = [GatedBlocks(every=2, query_key_norm=True), GatedBlocks(every=1, channel_gates=True)]
each_config = pytest.mark.parametrize("config", CONFIGS, ids=str)


def block(config: GatedBlocks, gate: float) -> HostlikeBlock:
    torch.manual_seed(0)
    made = HostlikeBlock(config, HOST, MEMORY)
    with torch.no_grad():
        made.alpha_cross_attn.fill_(gate)
        made.alpha_dense.fill_(gate / 2)
    return made


def rows(count: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, count, dtype=torch.bool))


def reading(memory: Memory | None, permission: Permission | None, cache=None) -> Reading:
    return reading_of(rows(ROWS), layer=1, memory=memory, permission=permission, cache=cache)


def given() -> tuple[torch.Tensor, Memory, Permission]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, ROWS, HOST.width, generator=generator)
    tokens = torch.randn(2, TOKENS, MEMORY, generator=generator)
    mask = torch.rand(2, ROWS, TOKENS, generator=generator) > 0.4
    mask[0, 0] = False
    return hidden, Memory(tokens, rows(TOKENS)), Permission(dense=mask)


@each_config
def test_a_block_is_its_equation(config):
    made, (hidden, memory, permission) = block(config, 0.7), given()
    attention = made.cross_attn
    q = split_heads(attention.q_proj(made.input_layernorm(hidden)), HOST.heads)
    k = split_heads(attention.k_proj(memory.tokens), HOST.heads)
    v = split_heads(attention.v_proj(memory.tokens), HOST.heads)
    if config.query_key_norm:
        q, k = (x / (x.pow(2).mean(-1, keepdim=True) + HOST.norm_eps).sqrt() for x in (q, k))
    read = attention.o_proj(merge_heads(attend_slowly(q, k, v, permission.dense)))
    y = hidden + torch.tensor(0.7).tanh() * read
    thought = made.mlp(made.post_attention_layernorm(y))
    expected = y + torch.tensor(0.35).tanh() * thought
    close(made(hidden, reading(memory, permission)), expected, 1e-6)
    assert bool((read[0, 0] == 0).all()), "a row that sees nothing reads zeros"


@each_config
def test_closed_gates_change_no_bit(config):
    hidden, memory, permission = given()
    assert torch.equal(block(config, 0.0)(hidden, reading(memory, permission)), hidden)


@each_config
def test_memory_keys_are_computed_once(config):
    made, (hidden, memory, permission) = block(config, 0.7), given()
    cache = GrowingCache()
    first = made(hidden, reading(memory, permission, cache))
    assert cache.memory[1][0].shape == (2, HOST.heads, TOKENS, HOST.head_width)
    assert torch.equal(made(hidden, reading(None, permission, cache)), first)
    with pytest.raises(ValueError, match="layer 1 reads a memory that was never given"):
        made(hidden, reading(None, permission, GrowingCache()))


def test_the_bill_by_hand():
    """NANO has 3 layers, of which 0 and 2 read; 5 text rows, 6 tokens of width 11."""
    config, inner, width = CONFIGS[0], NANO.heads * NANO.head_width, NANO.width
    by_name = {w.name: w for w in config.work(NANO, 5, 6, 11)}
    assert len(config.work(NANO, 5, 6, 11)) == 2 * 4
    assert by_name["gated query and output"].macs == 5 * width * 2 * inner
    assert by_name["gated key and value"].macs == 6 * 11 * 2 * inner
    assert by_name["gated read"].macs == 2 * 5 * 6 * inner
    assert by_name["gated feed-forward"].macs == 5 * width * 3 * NANO.ff_width
    assert config.cached(NANO, 6) == 2 * 2 * inner * 6
