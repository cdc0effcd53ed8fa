"""The benchmark of unimodal inference runs, finds equal outputs, and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.spec import registered

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "zorro_unimodal.py"


@pytest.mark.slow
def test_a_tiny_run_leaves_a_whole_record(tmp_path):
    if "zorro" not in registered():
        pytest.skip("systems/ lacks zorro")
    out = tmp_path / "record.json"
    tiny = ["--layers", "2", "--width", "64", "--side", "3", "--text", "7", "--threads", "1"]
    command = [sys.executable, str(SCRIPT), *tiny, "--repeats", "1", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(out.read_text())
    assert record["rows"] == {"whole": 6 + 9 + 16, "text": 6, "image": 9}
    assert record["holds"] and max(record["largest_difference"].values()) < 1e-4
    assert record["seconds"].keys() == {"whole", "text", "image"}
    assert {"command", "seed", "commit", "machine", "metric", "baseline"} <= record.keys()
