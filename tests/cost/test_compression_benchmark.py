"""`benchmarks/compression_cpu.py` runs and explains; its times at this size mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "compression_cpu.py"


@pytest.mark.slow
def test_a_tiny_run_leaves_a_whole_record(tmp_path):
    out = tmp_path / "record.json"
    tiny = ["--width", "64", "--layers", "8", "--side", "84", "--text", "5", "--vocabulary", "64"]
    asked = [*tiny, "--threads", "1", "--repeats", "1", "--methods", "random", "vscan", "fastv"]
    command = [sys.executable, str(SCRIPT), *asked, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    record = json.loads(out.read_text())
    plain, drawn, vscan = record["rows"]
    assert [row["name"] for row in record["rows"]] == ["sdpa", "random", "vscan"]
    assert "fastv" in record["refused"]
    assert plain["tokens"] == 72 and drawn["tokens"] == 8
    assert plain["flops_ratio"] == 1 < drawn["flops_ratio"]
    assert (
        vscan["lost_seconds"]["encoder attention"] > 0 == drawn["lost_seconds"]["scoring rows"] * 0
    )
    for row in record["rows"]:
        assert row["short"] == (row["times_faster"] < 0.7 * row["flops_ratio"])
        assert bool(row["eaten_by"]) == row["short"]
    assert record["holds"] == (done.returncode == 0)


@pytest.mark.slow
def test_foreseen_peaks_are_measured(tmp_path):
    out = tmp_path / "record.json"
    few = [
        "--systems",
        "llava-1.5",
        "--smol",
        "--batches",
        "2",
        "--texts",
        "20",
        "--dtypes",
        "fp32",
    ]
    script = SCRIPT.with_name("peak_memory.py")
    done = subprocess.run(
        [sys.executable, str(script), *few, "--dtypes", "fp32", "--out", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads(out.read_text())
    assert [row["mode"] for row in record["rows"]] == ["answer", "teach"] and record["holds"]
