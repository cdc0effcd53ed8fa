"""The missing-not-at-random benchmark runs and leaves a whole record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chiasm.catalogue.effects import read_result

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "missing_not_at_random.py"


@pytest.mark.slow
def test_drops_of_both_arms_are_compared(tmp_path):
    sizes = ["tumours", "--epochs", "1", "--folds", "2", "--results", str(tmp_path)]
    subprocess.run([sys.executable, str(SCRIPT), *sizes], check=True, capture_output=True)
    path = tmp_path / "multimodn" / "missing-tumours.json"
    record = read_result(path)
    assert str(tmp_path) not in json.dumps(record)
    for arm, values in (("multimodn", "values"), ("parallel", "baseline_values")):
        areas = record["areas"]["missing"][arm]
        drops = [one - other for one, other in zip(areas["same"], areas["reversed"], strict=True)]
        assert drops == record[values]
    # Nothing is missing in the complete regime, whichever way round.
    for arm in record["areas"]["complete"].values():
        assert arm["whole"] == arm["same"] == arm["reversed"]
