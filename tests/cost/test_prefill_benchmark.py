"""The prefill benchmark runs and writes what it found; its verdict at this size means nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.spec import registered

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "prefill.py"
SYSTEMS = {"llava-1.5", "saisa", "ee-mllm", "llava-mini"}


@pytest.mark.slow
def test_a_tiny_run_leaves_a_whole_record(tmp_path):
    if not registered().keys() >= SYSTEMS:
        pytest.skip("systems/ lacks a system that the benchmark compares")
    out = tmp_path / "record.json"
    tiny = ["--layers", "1", "--width", "64", "--features", "64", "--side", "3", "--text", "5"]
    command = [sys.executable, str(SCRIPT), *tiny, "--repeats", "1", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    record = json.loads(out.read_text())
    assert record["seconds"].keys() == SYSTEMS == record["times_faster"].keys()
    assert record["times_faster"]["llava-1.5"] == 1
    assert record["holds"] == (record["times_faster"]["saisa"] >= 2) == (done.returncode == 0)
    assert {"command", "seed", "commit", "machine", "metric", "baseline"} <= record.keys()
    assert "times faster" in done.stdout
