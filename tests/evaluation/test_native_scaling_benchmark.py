"""The benchmark of scaling laws runs and leaves a whole record; what it finds means nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.evaluation.scaling import ScalingLaw

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "native_scaling.py"
SIZES = ["--widths", "32", "48", "--tokens", "500", "1000", "1500", "--batch", "4"]
SHORT = ["--held-out", "4", "--seeds", "0", "--resamples", "2", "--threads", "1"]


@pytest.mark.slow
def test_a_law_is_fitted_to_every_point_of_the_grid(tmp_path):
    out = tmp_path / "law.json"
    command = [sys.executable, str(SCRIPT), "--families", "early", *SIZES, *SHORT]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert str(tmp_path) not in out.read_text()
    family = record["families"]["early"]
    assert {(p["width"], p["tokens"]) for p in family["points"]} == {
        (width, tokens) for width in (32, 48) for tokens in (500, 1000, 1500)
    }
    law = ScalingLaw(**{k: v for k, v in family["law"].items() if k != "parameter_exponent"})
    assert law.parameter_exponent == pytest.approx(family["law"]["parameter_exponent"])
    for row in record["at_equal_flops"]:
        best = row["early"]
        assert (best is not None) == law.falls
        if best is None:
            continue
        assert 6 * best["n"] * best["d"] == pytest.approx(row["flops"])
    for low, high in family["intervals"].values():
        assert low <= high
