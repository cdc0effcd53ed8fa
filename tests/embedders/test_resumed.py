"""A run that was cut ends as one that was not."""

from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.embedders.few import few

from chiasm.embedders.folder import TENSORS, open_folder
from chiasm.embedders.running import teach
from chiasm.errors import ChiasmError, Misuse
from chiasm.spec.embedder import registered_embedders
from chiasm.training.budget import Budget
from chiasm.training.display import Silent
from chiasm.training.metrics import Metrics, read

SAMPLES = 44


class Killed(BaseException):
    """What nothing catches."""


class Cut(Silent):
    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, metrics: Metrics) -> None:
        if metrics.step == self.at:
            raise Killed


def run(slug: str, out: Path, cut: int | None = None, **changed) -> Path:
    given = {"seed": 3, "batch": 4, "checkpoint_steps": 1} | changed
    display = Silent() if cut is None else Cut(cut)
    return teach(slug, "nano", few(11), Budget(samples=SAMPLES), out, display=display, **given)


@pytest.mark.parametrize(
    ("slug", "exact"), [("align", True), ("mm-embed", True), ("structure", False)]
)
def test_cut_runs_end_alike(slug, exact, tmp_path):
    if slug not in registered_embedders():
        pytest.skip(f"{slug} is not installed")
    whole, out = run(slug, tmp_path / "whole"), tmp_path / "cut"
    for at in (4, 9):
        with pytest.raises(Killed):
            run(slug, out, at, resume=at > 4)
        assert (out / "states").exists()
    run(slug, out, resume=True)
    wanted, got = load_file(whole / TENSORS), load_file(out / TENSORS)
    assert wanted.keys() == got.keys()
    for name in wanted:
        apart = float((wanted[name].float() - got[name].float()).abs().max())
        assert apart == 0 if exact else apart <= 1e-5, name
    curves = [[(m.step, m.stage, m.samples, m.lr) for m in read(f)] for f in (whole, out)]
    assert curves[0] == curves[1]
    losses = [[m.loss for m in read(folder)] for folder in (whole, out)]
    assert losses[0] == (losses[1] if exact else pytest.approx(losses[1], rel=1e-4))
    for folder in (whole, out):
        assert not (folder / "states").exists() and not list(folder.glob("mined-*"))
        assert open_folder(folder).slug == slug


def test_what_may_be_gone_on_with(tmp_path):
    out = run("align", tmp_path / "run")
    before = (out / TENSORS).read_bytes()
    with pytest.raises(Misuse, match="--resume"):
        run("align", out)
    with pytest.raises(Misuse, match="seed 3, not 4"):
        run("align", out, resume=True, seed=4)
    assert run("align", out, resume=True) == out
    assert (out / TENSORS).read_bytes() == before


def test_damaged_negatives_are_named(tmp_path):
    if "mm-embed" not in registered_embedders():
        pytest.skip("mm-embed is not installed")
    out = tmp_path / "run"
    with pytest.raises(Killed):
        run("mm-embed", out, 9)
    [mined] = out.glob("mined-*")
    mined.write_bytes(mined.read_bytes()[:40])
    with pytest.raises(ChiasmError, match=r"mined-1\.safetensors"):
        run("mm-embed", out, resume=True)
