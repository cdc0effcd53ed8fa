"""Gated cross-attention by its equation, and its bill by hand."""

import pytest
import torch
from tests.tiny import close, reading_of

from chiasm.backbone import GrowingCache
from chiasm.fusion import GatedCrossAttention
from chiasm.fusion.gated import GatedBlock
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.lineages.hosts import NANO
from chiasm.spec.reading import Reading
from chiasm.stream import Memory, Permission, TokenTable

CONFIG = GatedCrossAttention(every=2, heads=3, head_width=5, ff_multiple=2)
WIDTH, MEMORY, ROWS, TOKENS = 7, 11, 4, 6


def block(gate: float) -> GatedBlock:
    torch.manual_seed(0)
    made = GatedBlock(CONFIG, WIDTH, MEMORY)
    with torch.no_grad():
        made.attention_gate.fill_(gate)
        made.feed_forward_gate.fill_(gate / 2)
    return made


def rows(count: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, count, dtype=torch.bool))


def reading(memory: Memory | None, permission: Permission | None, cache=None) -> Reading:
    return reading_of(rows(ROWS), layer=1, memory=memory, permission=permission, cache=cache)


def given() -> tuple[torch.Tensor, Memory, Permission]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, ROWS, WIDTH, generator=generator)
    tokens = torch.randn(2, TOKENS, MEMORY, generator=generator)
    mask = torch.rand(2, ROWS, TOKENS, generator=generator) > 0.4
    mask[0, 0] = False
    return hidden, Memory(tokens, rows(TOKENS)), Permission(dense=mask)


def test_a_block_is_its_equation():
    """y + tanh(a) XAttn(LN y, memory), then y + tanh(b) FFW(y)."""
    made, (hidden, memory, permission) = block(0.7), given()
    q = split_heads(made.to_q(made.norm(hidden)), CONFIG.heads)
    k, v = (split_heads(part, CONFIG.heads) for part in made.to_kv(memory.tokens).chunk(2, -1))
    read = made.to_out(merge_heads(attend_slowly(q, k, v, permission.dense)))
    y = hidden + torch.tensor(0.7).tanh() * read
    expected = y + torch.tensor(0.35).tanh() * made.ff(y)
    close(made(hidden, reading(memory, permission)), expected, 1e-6)
    assert bool((read[0, 0] == 0).all()), "a row that sees nothing reads zeros"


def test_closed_gates_change_no_bit():
    hidden, memory, permission = given()
    assert torch.equal(block(0.0)(hidden, reading(memory, permission)), hidden)


def test_without_any_image_the_feed_forward_runs_as_beside_one():
    """A sample alone gives what it gives in a batch whose other samples hold images."""
    made, (hidden, memory, _) = block(0.7), given()
    nothing = Permission(dense=torch.zeros(2, ROWS, TOKENS, dtype=torch.bool))
    alone, beside = made(hidden, reading(None, None)), made(hidden, reading(memory, nothing))
    close(alone, beside, 1e-6)


def test_memory_keys_are_computed_once():
    made, (hidden, memory, permission) = block(0.7), given()
    cache = GrowingCache()
    first = made(hidden, reading(memory, permission, cache))
    assert list(cache.memory) == [1]
    assert cache.memory[1][0].shape == (2, CONFIG.heads, TOKENS, CONFIG.head_width)
    assert torch.equal(made(hidden, reading(None, permission, cache)), first)


def test_a_memory_that_was_never_given_is_missed():
    hidden, _, permission = given()
    with pytest.raises(ValueError, match="layer 1 reads a memory that was never given"):
        block(0.7)(hidden, reading(None, permission, GrowingCache()))


def test_the_bill_by_hand():
    """NANO has 3 layers, of which 0 and 2 read; 5 text rows, 6 tokens of width 11."""
    work = CONFIG.work(NANO, 5, 6, 11)
    assert len(work) == 2 * 4
    by_name = {w.name: w for w in work}
    inner, width = 3 * 5, NANO.width
    assert by_name["gated query and output"].macs == 5 * width * 2 * inner
    assert by_name["gated key and value"].macs == 6 * 11 * 2 * inner
    assert by_name["gated key and value"].once
    assert by_name["gated read"].macs == 2 * 5 * 6 * inner
    assert by_name["gated feed-forward"].macs == 5 * width * 2 * 2 * width
    assert CONFIG.cached(NANO, 6) == 2 * 2 * inner * 6
