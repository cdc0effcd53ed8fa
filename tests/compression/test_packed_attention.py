"""Attention over packed rows: equal to reading them back first, in one softmax with plain rows."""

import pytest
import torch

from chiasm.compression import packed_attention
from chiasm.compression.endpoints import Quantiles, Scaled
from chiasm.compression.packed_attention import (
    attend_packed,
    attend_packed_slowly,
    calibrated,
)
from chiasm.compression.quantised import Codec
from chiasm.compression.visual_kv import SplitRows, VisualKV
from chiasm.layers import attend_slowly
from chiasm.stream import Permission

BATCH, KV, HEADS, WIDTH = 2, 3, 6, 7
TOTAL = 53


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def visual_rows() -> torch.Tensor:
    """29 visual rows in one sample, 11 in the other."""
    found = torch.zeros(BATCH, TOTAL, dtype=torch.bool)
    found[0, 5:34] = True
    found[1, 20:31] = True
    return found


def held(how: VisualKV, more: int = 4) -> SplitRows:
    keys, values = drawn(BATCH, KV, TOTAL, WIDTH, seed=1), drawn(BATCH, KV, TOTAL, WIDTH, seed=2)
    rows = SplitRows.none(keys, how).packing(keys, values, visual_rows())
    return rows.extended(
        drawn(BATCH, KV, more, WIDTH, seed=3), drawn(BATCH, KV, more, WIDTH, seed=4)
    )


def setting(bits: int, *, group: int | None = None, calibration: float = 0.0) -> VisualKV:
    return VisualKV(
        keys=Codec(bits=bits, group=group, endpoints=Scaled(0.5)),
        values=Codec(bits=bits, group=group, endpoints=Quantiles()),
        calibration=calibration,
    )


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
@pytest.mark.parametrize("queries", [1, 5])
@pytest.mark.parametrize("calibration", [0.0, 3.0])
@pytest.mark.parametrize("group", [None, 8, 24])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("most", [8, 10**6], ids=["in-pieces", "at-once"])
def test_fused_equals_read_back(bits, group, calibration, queries, most, monkeypatch):
    monkeypatch.setattr(packed_attention, "CODES", most * BATCH * KV * WIDTH)
    monkeypatch.setattr(packed_attention, "LOGITS", most * BATCH * HEADS * TOTAL)
    rows = held(setting(bits, group=group, calibration=calibration))
    q = drawn(BATCH, HEADS, queries, WIDTH, seed=5)
    seen = drawn(BATCH, queries, rows.total, seed=6) > -0.5
    seen[0, 0] = False
    for mask in (seen, None):
        got = attend_packed(q, rows.packed, rows.plain, mask, calibration=calibration)
        want = attend_packed_slowly(q, rows.packed, rows.plain, mask, calibration=calibration)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    fused = attend_packed(q, rows.packed, rows.plain, seen, calibration=calibration)
    assert not bool(fused[0, :, 0].any()), "who sees nothing reads zeros"


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_without_calibration_it_is_plain_attention_over_the_values_read_back(bits):
    rows = held(setting(bits))
    q = drawn(BATCH, HEADS, 3, WIDTH, seed=5)
    seen = drawn(BATCH, 3, rows.total, seed=6) > -0.5
    got = rows.attend(q, Permission(dense=seen))
    torch.testing.assert_close(
        got, attend_slowly(q, rows.keys, rows.values, seen), rtol=1e-5, atol=1e-5
    )


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
def test_text_entries_are_bit_identical():
    keys, values = drawn(BATCH, KV, TOTAL, WIDTH, seed=1), drawn(BATCH, KV, TOTAL, WIDTH, seed=2)
    visual = visual_rows()
    rows = SplitRows.none(keys, setting(1)).packing(keys, values, visual)
    for given, back in ((keys, rows.keys), (values, rows.values)):
        same = (given == back).all(-1).all(1)
        assert bool(same[~visual].all())
        assert not bool(same[visual].any())


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
def test_calibration_maps_the_visible_range_linearly():
    logits = drawn(2, 3, 4, 9) * 5
    hidden = torch.zeros(2, 1, 4, 9, dtype=torch.bool)
    hidden[1, :, :, 6:] = True
    hidden[0, :, 0] = True
    got = calibrated(logits, ~hidden, 3.0)
    for at in [(0, 1, 2), (1, 2, 3)]:
        own = ~hidden[at[0], 0, at[2]]
        before, after = logits[at][own], got[at][own]
        torch.testing.assert_close(after.min(), before.min())
        torch.testing.assert_close(after.max(), before.max() - 3)
        slope = (after - after.min()) / (before - before.min())
        torch.testing.assert_close(
            slope[before > before.min()], slope[before.argmax()].expand(len(before) - 1)
        )
    assert torch.equal(got[0, :, 0], logits[0, :, 0]), "nothing to see, nothing to map"
    flat = torch.full((1, 1, 1, 4), 2.0)
    assert torch.equal(calibrated(flat, torch.ones(1, dtype=torch.bool), 3.0), flat)


def test_a_later_call_packs_a_block_of_its_own():
    """Codes of the first picture are never touched again."""
    rows = held(setting(2))
    keys, values = drawn(BATCH, KV, 9, WIDTH, seed=7), drawn(BATCH, KV, 9, WIDTH, seed=8)
    visual = torch.arange(9).expand(BATCH, -1) > 3
    later = rows.packing(keys, values, visual)
    assert later.packed[0] is rows.packed[0]
    assert len(later.packed) == 2
    assert later.total == rows.total + 9
    assert torch.equal(later.keys[:, :, : rows.total], rows.keys)
    assert torch.equal(later.values[:, :, rows.total : rows.total + 4], values[:, :, :4])


def test_other_samples_are_taken_whole():
    rows, chosen = held(setting(1)), torch.tensor([1, 1, 0])
    moved = rows.at(chosen)
    assert torch.equal(moved.keys, rows.keys[chosen])
    assert torch.equal(moved.values, rows.values[chosen])


def test_bytes_are_those_of_what_is_held():
    rows = held(setting(1))
    block = rows.packed[0]
    codes = BATCH * KV * WIDTH * 4  # 29 rows fill 4 bytes
    assert block.keys.codes.numel() == codes
    scales = 2 * BATCH * KV * WIDTH * 4
    plain = TOTAL - 11 + 4  # the sample with fewer pictures has more text
    columns = (29 + plain) * BATCH * 4
    assert rows.bytes == 2 * (codes + scales) + 2 * BATCH * KV * plain * WIDTH * 4 + columns
