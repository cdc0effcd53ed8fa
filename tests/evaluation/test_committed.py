"""The README's measured tables, from result files."""

import json

import pytest

from chiasm.errors import ChiasmError
from chiasm.evaluation.committed import results_block

ONE = {
    "system": "saisa",
    "parameters": 1_013_408,
    "prefill_flops": 11_710_000,
    "kv_bytes": 27_600,
    "prefill_ms": 3.114,
    "samples_per_second": 195.2,
    "accuracy": 0.9912,
    "accuracy_low": 0.989,
    "accuracy_high": 0.993,
    "questions": 9673,
    "data": "easy-vqa",
    "scale": "nano",
    "seed": 0,
    "majority_accuracy": 0.3733,
    "command": "chiasm compare saisa",
    "machine": "a machine",
}


def test_tables_say_what_was_measured_and_how(tmp_path):
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare" / "one.json").write_text(json.dumps([ONE]))
    block = results_block(tmp_path)
    row = next(line for line in block.splitlines() if "`saisa`" in line)
    assert row.count("|") == 9 and "99.12%" in row and "98.90 to 99.30" in row
    assert "37.33%" in block and "`chiasm compare saisa` on a machine" in block


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / "prefill").mkdir()
    (tmp_path / "prefill" / "bad.json").write_text("{")
    with pytest.raises(ChiasmError, match=r"bad\.json"):
        results_block(tmp_path)


def test_no_results_no_tables(tmp_path):
    assert results_block(tmp_path) == ""
