"""The benchmarks run and leave whole records; what they find at this size means nothing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chiasm.spec import registered

FOLDER = Path(__file__).parents[2] / "benchmarks"
WHOLE = {"command", "commit", "machine", "versions", "metric", "setting"}


def ran(script: str, out: Path, *arguments: str) -> dict:
    command = [sys.executable, str(FOLDER / script), *arguments, "--threads", "1"]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert record.keys() >= WHOLE
    assert str(out.parent) not in out.read_text()
    return record


@pytest.mark.slow
def test_grouped_products_and_the_loop_are_measured_side_by_side(tmp_path):
    sizes = ["--experts", "2", "5", "--rows", "1", "7", "--width", "16", "--hidden", "8"]
    record = ran("grouped_mm.py", tmp_path / "grouped.json", *sizes, "--repeats", "2")
    assert len(record["found"]) == 2 * 2 * 2
    for one in record["found"]:
        assert one["times_faster"] == one["seconds"]["loop"] / one["seconds"]["grouped"]
        assert {way: len(taken) for way, taken in one["samples"].items()} == {
            "grouped": 2,
            "loop": 2,
        }


needs_moma = pytest.mark.skipif("moma" not in registered(), reason="systems/ lacks moma")


@needs_moma
@pytest.mark.slow
def test_arms_spend_equal_flops(tmp_path):
    sizes = ["--width", "32", "--layers", "2", "--batch", "2", "--held-out", "3", "--points", "2"]
    record = ran(
        "moma_flops.py", tmp_path / "moma.json", *sizes, "--seeds", "0", "--teraflops", "2e-4"
    )
    (run,) = record["runs"]
    assert set(run["curves"]) == {"dense", "moma", "moma+mod"} == set(run["savings"])
    spent = {name: curve[-1]["flops"] for name, curve in run["curves"].items()}
    assert max(spent.values()) / min(spent.values()) < 1.3, "a whole number of few steps"
    assert all(value == pytest.approx(1.0) for value in run["savings"]["dense"].values())


def moma_flops():
    found = importlib.util.spec_from_file_location("moma_flops", FOLDER / "moma_flops.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@needs_moma
def test_documents_tell_each_modality_of_the_other():
    """Codes follow from the caption but for noise; the modality says which ids are which."""
    script = moma_flops()
    ids, modality = script.documents(64, 2, seed=1)
    assert ids.shape == (64, 2 * (1 + 5 + 36)) == modality.shape
    assert bool(((ids < script.CODES) == (modality > 0)).all())
    assert int(ids.max()) < script.VOCABULARY
    quiet = {name: torch.tensor([1]) for name in ("colour", "row", "column", "size", "ground")}
    pictures = torch.stack(
        [script._picture(quiet, torch.Generator().manual_seed(s))[0] for s in range(200)]
    )
    agree = (pictures == pictures.mode(0).values).float().mean()
    assert 0.93 < float(agree) < 0.97
    square = pictures.mode(0).values.view(6, 6)
    assert set(square[1:4, 1:4].flatten().tolist()) == {2, 3}
    assert set(square[4:].flatten().tolist()) == {18, 19}


@needs_moma
def test_flops_to_reach_a_loss_lie_between_points():
    curve = [{"flops": 1.0, "loss": 4.0}, {"flops": 2.0, "loss": 2.0}]
    script = moma_flops()
    assert script.spent_to_reach(curve, "loss", 3.0) == 1.5
    assert script.spent_to_reach(curve, "loss", 5.0) == 1.0
    assert script.spent_to_reach(curve, "loss", 1.0) is None
