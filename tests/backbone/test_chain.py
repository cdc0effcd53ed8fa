"""Two stacks in a row: what they compute, what a cache holds for them, what a bill counts."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import HOST, batch, close, cut, said, tiny

from chiasm.assemble import build
from chiasm.backbone import Borrowed, Chain, GrowingCache, StaticCache
from chiasm.cost import count
from chiasm.fusion import TwoWidths
from chiasm.model import Model
from chiasm.spec import Answers

AHEAD = replace(
    HOST,
    width=23,
    depth=2,
    heads=5,
    kv_heads=1,
    ff_width=31,
    norm="layer",
    embedding_norm=True,
    final_norm=False,
)
ROWS = 11


def answers() -> Answers:
    return replace(
        tiny("text-only"), host=replace(HOST, tied_head=True), fusion=TwoWidths(ahead=AHEAD)
    )


def model() -> Model:
    return build(answers(), seed=3).eval().requires_grad_(False)


def test_rows_pass_one_stack_then_the_other():
    made, inputs = model(), batch(answers(), [(said(ROWS, 1),)])
    decoder = made.decoder
    assert isinstance(decoder, Chain)
    words = decoder.ahead.embed_tokens(inputs.ids)
    assert words.shape == (1, ROWS, 23)
    stream = made.stream(inputs)
    assert torch.equal(stream.embeddings, words)
    first = decoder.ahead(stream)
    wide = replace(stream, embeddings=first @ decoder.widen.weight.T)
    close(made(inputs), decoder.norm(decoder.stack(wide)) @ decoder.embed_tokens.weight.T, 1e-6)
    assert decoder.widen.bias is None


@pytest.mark.parametrize("make", [GrowingCache, lambda: StaticCache(ROWS)], ids=["grows", "static"])
def test_cached_steps_equal_one_pass(make):
    made, inputs = model(), batch(answers(), [(said(ROWS, 1),), (said(ROWS, 2),)])
    cache, whole = make(), made(inputs)
    runs = [slice(0, 5), slice(5, 6), slice(6, ROWS)]
    got = [made(cut(inputs, rows, media=False), cache=cache) for rows in runs]
    close(torch.cat(got, 1), whole, 1e-5)


def test_a_cache_counts_both_stacks():
    made, cache = model(), GrowingCache()
    made(batch(answers(), [(said(ROWS, 1),)]), cache=cache)
    own, ahead = 2 * 2 * 6 * HOST.depth, 2 * 1 * 6 * AHEAD.depth
    assert cache.bytes == 4 * ROWS * (own + ahead)
    bill = count(answers(), "nano", text=ROWS, dtype="fp32", name="chain")
    assert bill.kv_bytes == cache.bytes


def test_a_borrowed_cache_lends_both_and_keeps_neither():
    made, inputs = model(), batch(answers(), [(said(ROWS, 1),)])
    cache = GrowingCache()
    made(cut(inputs, slice(0, 8), media=False), cache=cache)
    held, whole = cache.bytes, made(inputs)
    for _ in range(2):
        got = made(cut(inputs, slice(8, ROWS), media=False), cache=Borrowed(cache))
        close(got, whole[:, 8:], 1e-5)
        assert cache.bytes == held


def test_the_bill_counts_every_layer_and_the_map_between():
    bill = count(answers(), "nano", text=ROWS, dtype="fp32", name="chain")
    names = {line.name: line.dense for line in bill.prefill}
    assert names["widen"] == ROWS * 23 * HOST.width
    assert names["layer ahead 1 query"] == ROWS * 23 * 5 * 6
    assert names["layer 2 query"] == ROWS * HOST.width * 6 * 6
    assert "layer ahead 2 query" not in names
    assert bill.parameters.by_part["tower"] == sum(
        p.numel() for p in model().decoder.ahead.parameters()
    )
    assert bill.parameters.by_part["fusion"] == 23 * HOST.width


def test_a_host_that_scores_with_a_matrix_of_its_own_is_refused():
    with pytest.raises(ValueError, match=r"23 channels ahead.*set tied_head"):
        build(replace(answers(), host=HOST))
