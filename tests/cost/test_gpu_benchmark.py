"""`benchmarks/gpu.py` runs scaled down on a CPU, with torch and transformers alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
MISSING = ("PIL", "gguf", "jaxtyping", "matplotlib", "optuna", "rich", "sklearn", "torchao")
ALONE = """
import runpy, sys
from importlib.machinery import PathFinder

class Alone(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [Alone if each is PathFinder else each for each in sys.meta_path]
sys.path.insert(0, {folder!r})
sys.argv = [{script!r}, *sys.argv[1:]]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_a_tiny_run_leaves_a_record_of_each_part(tmp_path):
    program = ALONE.format(missing=set(MISSING), folder=str(SCRIPT.parent), script=str(SCRIPT))
    parts = ("llava-1.5-7b", "llava-onevision-7b-video", "saisa")
    tiny = ["--device", "cpu", "--tiny", "--repeats", "1", "--new", "3", "--text", "9"]
    asked = ["--part", ",".join(parts), "--methods", "uniform", "vscan", "fastv"]
    command = [sys.executable, "-c", program, *tiny, *asked, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    records = {part: json.loads((tmp_path / f"{part}.json").read_text()) for part in parts}
    for part in parts[:2]:
        record = records[part]
        names = [row["name"] for row in record["rows"]]
        assert names == ["sdpa", "uniform", "vscan"]
        assert "keep=0.1" in record["refused"]["fastv"]
        plain, even, _ = record["rows"]
        assert plain["prefill_times_faster"] == 1
        assert even["tokens"] == round(plain["tokens"] / 10)
        words = plain["kv_bytes"] * 9 // (9 + plain["tokens"])
        kept = even["kv_bytes"] - words
        assert kept == pytest.approx((plain["kv_bytes"] - words) * even["tokens"] / plain["tokens"])
    assert [row["name"] for row in records["saisa"]["rows"]] == ["in sequence", "saisa"]
    assert {"command", "seed", "commit", "device", "versions"} <= records["saisa"].keys()
    assert "3.8x inference" not in done.stdout and "2.98x fewer FLOPs" in done.stdout


def test_an_unknown_part_is_refused_in_a_line():
    command = [sys.executable, str(SCRIPT), "--part", "gpt", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no part is called 'gpt'" in done.stderr
