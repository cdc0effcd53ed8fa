"""The README's tables of benchmarks, from small records in the benchmarks' own formats."""

import json
from pathlib import Path
from typing import Any

import pytest

from chiasm.errors import ChiasmError
from chiasm.evaluation.committed_ratios import ratios_block


def put(root: Path, folder: str, record: dict[str, Any]) -> None:
    (root / folder).mkdir(parents=True)
    shared = {"command": "python x.py", "machine": "a chip", "threads": 2}
    (root / folder / "one.json").write_text(json.dumps(shared | record))


def test_decoding_shows_ratio_and_cache(tmp_path):
    at = {
        "context": 4096,
        "tokens_per_second": {"ours": 30.0, "twin": 10.0},
        "times_faster": 3.0,
        "cache_bytes": {"ours": 100, "twin": 800},
    }
    sizes = {"ours": 2_000_000, "twin": 4_000_000}
    put(tmp_path, "ssm_decode", {"baseline": "twin", "parameters": sizes, "contexts": [at]})
    block = ratios_block(tmp_path)
    assert "| 4,096 | 30.0 | 10.0 | 3.00 | 0.125 |" in block
    assert "ours 2.0M, twin 4.0M. `python x.py` on a chip, 2 threads." in block


def test_grouped_products_and_unimodal_rows(tmp_path):
    one = {
        "experts": 8,
        "rows": 512,
        "pass": "forward",
        "seconds": {"loop": 0.004, "grouped": 0.001},
        "times_faster": 4.0,
    }
    put(tmp_path, "grouped_mm", {"setting": {"width": 7, "k": 2}, "found": [one]})
    rows = {
        "baseline": "whole",
        "rows": {"whole": 9, "text": 3},
        "seconds": {"whole": 0.3, "text": 0.1},
        "largest_difference": {"text": 2e-7},
    }
    put(tmp_path, "zorro_unimodal", rows)
    block = ratios_block(tmp_path)
    assert "| 8 | 512 | forward | 4.00 | 1.00 | 4.00 |" in block
    assert "| text | 3 | 100.0 | 3.00 | 2.0e-07 |" in block


def test_an_arm_that_never_arrives_is_said_so(tmp_path):
    kinds = ("text, causal", "image, causal", "text, as taught", "image, as taught")
    curves = {arm: [dict.fromkeys(kinds, loss)] for arm, loss in (("dense", 1.0), ("moma", 2.0))}
    savings = {"dense": {"all, causal": 1.0}, "moma": {"all, causal": None}}
    runs = [{"seed": 0, "curves": curves, "savings": savings}]
    put(tmp_path, "moma_flops", {"setting": {"teraflops": 1.0}, "runs": runs})
    block = ratios_block(tmp_path)
    assert "| `dense` | 1.0000 | 1.0000 | 1.0000 | 1.0000 | 1.00 times (1 of 1 seeds) |" in block
    assert "| `moma` | 2.0000 | 2.0000 | 2.0000 | 2.0000 | never reached |" in block


def test_methods_say_what_eats_the_rest_and_peaks_are_grouped(tmp_path):
    full = {"name": "sdpa", "tokens": 1152.0, "seconds": 9.0, "times_faster": 1.0}
    full |= {"flops_ratio": 1.0, "share": 1.0, "eaten_by": ""}
    slow = full | {"name": "g-search", "tokens": 115.0, "seconds": 3.0, "times_faster": 3.0}
    slow |= {"flops_ratio": 6.0, "share": 0.5, "eaten_by": "scoring rows"}
    setting = {"layers": 12, "width": 1024, "text": 64, "keep": 0.1, "repeats": 5}
    found = {"baseline": "sdpa", "rows": [full, slow], "refused": {"fastv": "too few layers"}}
    put(tmp_path, "compression_cpu", found | {"setting": setting})
    row = {"system": "saisa", "scale": "nano", "mode": "teach"}
    peaks = [row | {"measured_bytes": n * 1e6, "ratio": n / 2} for n in (2, 3)]
    put(tmp_path, "peak_memory", {"rows": peaks})
    block = ratios_block(tmp_path)
    assert "| full model | 1,152 | 9,000 | 1.00 | 1.00 | 1.00 |  |" in block
    assert "| `g-search` | 115 | 3,000 | 3.00 | 6.00 | 0.50 | scoring rows |" in block
    assert "| `fastv` |  |  |  |  |  | cannot run: too few layers |" in block
    assert "| `saisa` | nano | teach | 2 | 2.0 to 3.0 | 1.000 to 1.500 |" in block


def test_late_interaction_shows_speed_recall_and_bytes(tmp_path):
    row = {"name": "exact, int8", "seconds": 0.05, "times_faster": 3.5, "recall": 0.98}
    setting = {"documents": 5000, "tokens": 128, "width": 128, "asked": 32}
    sizes = {"megabytes": {"int8": 83.2}, "lists_megabytes": 4.0, "build_seconds": 31.0}
    engine = {"name": "faiss", "disk_megabytes": 0.0, "build_seconds": 17.2}
    put(tmp_path, "maxsim", {"rows": [row], "setting": setting, "engines": [engine], **sizes})
    block = ratios_block(tmp_path)
    assert "| exact, int8 | 50.0 | 3.50 | 0.980 |" in block
    assert "vectors: int8 83 MB; lists 4.0 MB, built in 31 s; engines' files: faiss 0 MB" in block


def test_single_vectors_show_the_ratio(tmp_path):
    row = {"name": "Lance.nearest", "seconds": 0.005, "recall": 0.97}
    record = {
        "rows": [row],
        "setting": {"rows": 100_000, "width": 384},
        "ratio": 1.04,
        "put_seconds": 40.0,
        "index_seconds": 6.0,
        "disk_megabytes": 190.0,
    }
    put(tmp_path, "single_vectors", record)
    block = ratios_block(tmp_path)
    assert "| `Lance.nearest` | 5.00 | 0.970 |" in block
    assert "100,000 vectors 384 wide in one table with one index; ours takes 1.04 times" in block


def test_nothing_measured_and_files_that_are_broken(tmp_path):
    assert ratios_block(tmp_path) == ""
    put(tmp_path, "ssm_decode", {})
    (tmp_path / "ssm_decode" / "one.json").write_text("{")
    with pytest.raises(ChiasmError, match="not JSON"):
        ratios_block(tmp_path)
