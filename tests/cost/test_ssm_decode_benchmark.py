"""The decoding benchmark runs and writes what it found; its verdict at this size means nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.spec import registered

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ssm_decode.py"
SYSTEMS = {"omnimamba", "transformer"}


@pytest.mark.slow
def test_a_tiny_run_leaves_a_whole_record(tmp_path):
    if "omnimamba" not in registered():
        pytest.skip("systems/ has no omnimamba")
    out = tmp_path / "record.json"
    tiny = ["--layers", "2", "--width", "64", "--state", "8", "--vocabulary", "53"]
    sizes = ["--contexts", "5", "40", "--steps", "3", "--repeats", "1", "--out", str(out)]
    command = [sys.executable, str(SCRIPT), *tiny, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    record = json.loads(out.read_text())
    short, long = record["contexts"]
    assert (short["context"], long["context"]) == (5, 40)
    for each in (short, long):
        assert each["tokens_per_second"].keys() == each["cache_bytes"].keys() == SYSTEMS
    assert short["cache_bytes"]["omnimamba"] == long["cache_bytes"]["omnimamba"]
    assert long["cache_bytes"]["transformer"] == 8 * short["cache_bytes"]["transformer"]
    assert short["cache_bytes"]["transformer"] == 2 * 2 * 5 * 64 * 4
    grows = long["times_faster"] > short["times_faster"]
    assert record["holds"] == grows == (done.returncode == 0)
    assert {"command", "seed", "commit", "machine", "metric", "baseline"} <= record.keys()
    assert "times faster" in done.stdout
