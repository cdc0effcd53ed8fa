"""The README's tables of compression, from small reports."""

import json

import pytest

from chiasm.evaluation.committed_compress import compress_block


def report(seed, accuracy, gain, ms=None, **row):
    shared = {"tokens": 16.0, "prefill_flops": 25, "kv_bytes": 50, "agreement": 0.9}
    one = shared | {"accuracy": accuracy, "prefill_ms": ms, "decode_ms": ms, "saves_no_time": None}
    against = {"value": gain, "low": gain - 0.01, "high": gain + 0.01, "verdict": "beats"}
    rows = [
        {"method": "random", "keep": 0.25, "against": {}} | one,
        {"method": "vscan", "keep": 0.25, "against": {"random": against}} | one | row,
        {"method": "fastv", "keep": 0.25, "refused": "has 0 | blocks"},
    ]
    full = {"prefill_flops": 100, "kv_bytes": 100, "prefill_ms": 8.0, "decode_ms": 4.0}
    return {
        "system": "llava-1.5",
        "scale": "nano",
        "data": "easy-vqa",
        "training": {"samples": 6000},
        "parameters": 2_700_000,
        "questions": 500,
        "keeps": [0.25],
        "full": full | {"accuracy": 0.9, "tokens": 64.0},
        "rows": rows,
        "seed": seed,
        "command": "chiasm compress x",
        "machine": "a machine",
        "threads": 1,
    }


def put(root, *reports):
    (root / "compress").mkdir()
    for number, one in enumerate(reports):
        (root / "compress" / f"{number}.json").write_text(json.dumps(one))


def line(block, method):
    return next(text for text in block.splitlines() if f"`{method}`" in text)


def test_seeds_are_averaged_and_their_differences_have_students_interval(tmp_path):
    put(tmp_path, report(0, 0.80, 0.02), report(1, 0.82, 0.04), report(2, 0.84, 0.06))
    block = compress_block(tmp_path)
    assert "3 seeds, 500 test questions each" in block and "64 visual tokens" in block
    row = line(block, "vscan")
    assert "| 16.0 | 0.25 | 0.50 | not timed | not timed | 82.0% (80.0 to 84.0) | 90.0% |" in row
    # 0.04 -/+ 4.3027 * 0.02 / sqrt(3)
    assert "+4.0 (-1.0 to +9.0), zero within" in row
    assert "cannot run: has 0 \\| blocks" in line(block, "fastv")


def test_a_single_seed_keeps_its_own_interval_and_times_their_flag(tmp_path):
    put(tmp_path, report(0, 0.80, 0.02, ms=10.0, saves_no_time=True))
    row = line(compress_block(tmp_path), "vscan")
    assert "| 1.25 (no less) | 2.50 | 80.0% | 90.0% | +2.0 (+1.0 to +3.0), beats |" in row


@pytest.mark.parametrize("change", [{"scale": "smol"}, {"training": {"samples": 7}}])
def test_other_models_are_other_tables(tmp_path, change):
    put(tmp_path, report(0, 0.8, 0.02), report(1, 0.8, 0.02) | change)
    assert compress_block(tmp_path).count("keep = 0.25") == 2


def test_nothing_measured_is_said(tmp_path):
    assert "No compression" in compress_block(tmp_path)
