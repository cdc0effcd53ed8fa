"""Cross-attention layers: their equation, rows without an image, the cache, the bill by hand."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import close, reading_of

from chiasm.backbone import GrowingCache
from chiasm.fusion import CrossLayers
from chiasm.fusion.cross_layers import CrossLayer
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.lineages.hosts import NANO
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts
from chiasm.stream import Memory, Permission, TokenTable
from chiasm.visibility import dense_permission

MEMORY, ROWS, TOKENS = 11, 4, 6
HOST = replace(NANO, width=14, heads=6, kv_heads=2, head_width=4, ff_width=13, depth=3)
CONFIG = CrossLayers(before=(0, 2, 2, 3))
NAMED = torch.tensor([[0, 1, 1, 3], [2, 0, 0, 1]])


def layer(gate: float) -> CrossLayer:
    torch.manual_seed(0)
    made = CrossLayer(CONFIG, HOST, MEMORY, 1)
    with torch.no_grad():
        made.cross_attn_attn_gate.fill_(gate)
        made.cross_attn_mlp_gate.fill_(gate / 2)
        for norm in (made.cross_attn.q_norm, made.cross_attn.k_norm):
            norm.weight.copy_(torch.tensor([0.5, 1.5, 1.0, 2.0]))
    return made


def rows(count: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, count, dtype=torch.bool))


def reading(memory: Memory | None, permission: Permission | None, cache=None) -> Reading:
    table = replace(rows(ROWS), item=NAMED)
    return reading_of(table, layer=2, memory=memory, permission=permission, cache=cache)


def given() -> tuple[torch.Tensor, Memory, Permission]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, ROWS, HOST.width, generator=generator)
    tokens = torch.randn(2, TOKENS, MEMORY, generator=generator)
    mask = torch.rand(2, ROWS, TOKENS, generator=generator) > 0.4
    return hidden, Memory(tokens, rows(TOKENS)), Permission(dense=mask)


def test_a_layer_is_its_equation():
    made, (hidden, memory, permission) = layer(0.7), given()
    attention = made.cross_attn
    q = split_heads(attention.q_proj(made.input_layernorm(hidden)), HOST.heads)
    k = split_heads(attention.k_proj(memory.tokens), HOST.kv_heads)
    v = split_heads(attention.v_proj(memory.tokens), HOST.kv_heads)
    scale = torch.tensor([0.5, 1.5, 1.0, 2.0])
    q, k = (scale * x / (x.pow(2).mean(-1, keepdim=True) + HOST.norm_eps).sqrt() for x in (q, k))
    read = attention.o_proj(merge_heads(attend_slowly(q, k, v, permission.dense)))
    y = hidden + torch.tensor(0.7).tanh() * read
    thought = torch.tensor(0.35).tanh() * made.mlp(made.post_attention_layernorm(y))
    thought[0, 0] = thought[1, 1:3] = 0  # rows that name no image do not think of one
    close(made(hidden, reading(memory, permission)), y + thought, 1e-6)


def test_without_a_memory_and_behind_closed_gates_nothing_changes():
    hidden, memory, permission = given()
    assert torch.equal(layer(0.7)(hidden, reading(None, None)), hidden)
    assert torch.equal(layer(0.0)(hidden, reading(memory, permission)), hidden)


def test_memory_keys_are_computed_once_for_each_layer():
    made, (hidden, memory, permission) = layer(0.7), given()
    cache = GrowingCache()
    first = made(hidden, reading(memory, permission, cache))
    assert cache.memory[2, 1][0].shape == (2, HOST.kv_heads, TOKENS, HOST.head_width)
    assert torch.equal(made(hidden, reading(None, permission, cache)), first)
    with pytest.raises(ValueError, match="layer 2 reads a memory that was never given"):
        made(hidden, reading(None, permission, GrowingCache()))


def test_layers_are_where_they_are_named():
    def parts(depth: int) -> SlotParts:
        raise AssertionError(f"{depth} further layers asked for")

    slots = CONFIG.fill(
        HOST, SlotParts(MEMORY, lambda: torch.nn.Identity(), parts, dense_permission)
    )
    assert {at: len(run) for at, run in slots.before.items()} == {0: 1, 2: 2, 3: 1}
    for wrong in ((2, 0), (4,), (-1, 2)):
        with pytest.raises(ValueError, match="of 3 layers"):
            CrossLayers(before=wrong).fill(
                HOST, SlotParts(MEMORY, torch.nn.Identity, parts, dense_permission)
            )


def test_the_bill_by_hand():
    """Four layers read; 5 text rows, 6 tokens of width 11; nothing runs without tokens."""
    by_name = {w.name: w for w in CONFIG.work(HOST, 5, 6, 11)}
    assert len(CONFIG.work(HOST, 5, 6, 11)) == 4 * 4
    assert by_name["cross query and output"].macs == 5 * 14 * 2 * 24
    assert by_name["cross key and value"].macs == 6 * 11 * 2 * 8
    assert by_name["cross read"].macs == 2 * 5 * 6 * 24
    assert by_name["cross feed-forward"].macs == 5 * 14 * 3 * 13
    assert CONFIG.cached(HOST, 6) == 4 * 2 * 8 * 6
    assert not CONFIG.work(HOST, 5, 0, 11)
