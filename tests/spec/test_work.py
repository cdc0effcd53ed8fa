"""Multiply-adds by hand."""

from chiasm.spec import Host
from chiasm.spec.work import Reads, attention, decoder_layer, linear

HOST = Host(vocabulary=11, width=6, depth=1, heads=4, kv_heads=2, head_width=3, ff_width=7)


def test_a_linear_map():
    work = linear("decoder", "query", 5, 6, 12)
    assert (work.macs, work.held, work.once) == (5 * 6 * 12, 5 * (6 + 12), False)


def test_attention_scores_and_sums():
    """Each pair costs a score and a weighted sum over every head's width."""
    assert attention("decoder", "read", 10, 4, 3).macs == 2 * 10 * 4 * 3


def test_a_decoder_layer():
    work = {w.name.removeprefix("layer "): w for w in decoder_layer(HOST, 5, 15, "layer")}
    assert work["query"].macs == 5 * 6 * 12
    assert work["key and value"].macs == 5 * 6 * 2 * 6
    assert work["output"].macs == 5 * 12 * 6
    assert work["attention"].macs == 2 * 15 * 12
    assert work["attention"].reads is Reads.SEQUENCE
    assert work["feed-forward"].macs == 5 * 3 * 6 * 7


def test_a_decoder_layer_with_fewer_working_rows():
    work = decoder_layer(HOST, 5, 10, "layer", query_rows=2, output_rows=3, feed_forward_rows=4)
    rows = {w.name.removeprefix("layer "): w.macs for w in work}
    assert rows["query"] == 2 * 6 * 12
    assert rows["key and value"] == 5 * 6 * 12
    assert rows["output"] == 3 * 12 * 6
    assert rows["feed-forward"] == 4 * 3 * 6 * 7
