import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.toy import ADAPT, ALIGN, KILLED_STEPS, STAGE, killed, ready, toy

from chiasm.errors import ChiasmError
from chiasm.positions import Fractional
from chiasm.training import Budget, Interrupted, Metrics, Options, Silent, Trainer, metrics, train
from chiasm.training import state as states

EXACT = ("step", "stage", "epoch", "samples", "loss", "lr", "gradient_norm", "progress")


def curve(out: Path) -> list[tuple[Any, ...]]:
    lines = (out / metrics.FILE).read_text().splitlines()
    return [tuple(json.loads(line)[name] for name in EXACT) for line in lines]


def start(data: Path, out: Path, *flags: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.training.toy", str(data), str(out), *flags]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def wait_for_step(child: "subprocess.Popen[bytes]", out: Path, step: int) -> None:
    """Until the child has recorded `step` steps in all."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        path = out / metrics.FILE
        if path.exists() and path.read_bytes().count(b"\n") >= step:
            return
        assert child.poll() is None, f"the run ended by itself before step {step}"
        time.sleep(0.002)
    raise AssertionError(f"step {step} was not reached in two minutes")


def test_killed_three_times_it_teaches_the_same_bit_for_bit(data: Path, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    killed(data, whole, resume=False)
    reached = []
    for lowest, highest in ((1, 18), (20, 36), (38, 52)):
        child = start(data, cut, *(["--resume"] if reached else []))
        wait_for_step(child, cut, draw.randint(lowest, highest))
        time.sleep(draw.random() * 0.02)
        child.kill()
        assert child.wait() == -signal.SIGKILL, f"seed {seed}"
        reached.append(len(metrics.read(cut)))
    killed(data, cut, resume=True)
    assert len(curve(whole)) == KILLED_STEPS
    assert curve(cut) == curve(whole), f"seed {seed}, killed at {reached}"
    ours, theirs = (load_file(out / "model.safetensors") for out in (cut, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs), f"seed {seed}"


class Signals(Silent):
    """Sends this process a signal after a step."""

    def __init__(self, number: int, after: int) -> None:
        self.number, self.after = number, after

    def step(self, metrics: Metrics) -> None:
        if metrics.step == self.after:
            os.kill(os.getpid(), self.number)


def settings(data: Path, accumulate: int = 1) -> dict[str, Any]:
    """A run of twelve steps."""
    return dict(
        scale="nano",
        data=str(data),
        budget=Budget(samples=36),
        seed=2,
        threads=1,
        options=Options(batch=3, accumulate=accumulate),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_and_the_run_goes_on(
    number: int, data: Path, tmp_path: Path
) -> None:
    options = settings(data)
    before = signal.getsignal(number)
    system = toy(ALIGN, ADAPT)
    train(system, out=tmp_path / "whole", display=Silent(), **options)
    with pytest.raises(Interrupted, match=r"stopped after step 7 .* --resume") as stopped:
        train(system, out=tmp_path / "cut", display=Signals(number, 7), **options)
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert len(curve(tmp_path / "cut")) == 7
    assert (tmp_path / "cut" / "model.safetensors").exists()
    train(system, out=tmp_path / "cut", resume=True, display=Silent(), **options)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


@pytest.mark.parametrize("stop", [3, 8])
def test_drawn_positions_go_on_as_if_nothing_had_happened(
    stop: int, data: Path, tmp_path: Path
) -> None:
    options = settings(data, accumulate=2)
    plain = toy(ALIGN, ADAPT)
    drawn = replace(plain.at("nano"), positions=Fractional(fixed=16))
    scales = {scale: drawn for scale in plain.scales}
    system = replace(plain, scales=scales)
    train(system, out=tmp_path / "whole", display=Silent(), **options)
    with pytest.raises(Interrupted):
        train(system, out=tmp_path / "cut", display=Signals(signal.SIGINT, stop), **options)
    train(system, out=tmp_path / "cut", resume=True, display=Silent(), **options)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    ours, theirs = (load_file(tmp_path / out / "model.safetensors") for out in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    one = {scale: replace(drawn, positions=Fractional(fixed=16, steps=(16,))) for scale in scales}
    train(replace(plain, scales=one), out=tmp_path / "fixed", display=Silent(), **options)
    assert curve(tmp_path / "fixed")[1] != curve(tmp_path / "whole")[1], "training draws"


def trainer(data: Path, out: Path, budget: Budget, **options: Any) -> Trainer:
    model, dataset, collator = ready(data, STAGE)
    chosen = Options(checkpoint_steps=4, **options)
    return Trainer(model, dataset, collator, budget=budget, out=out, options=chosen)


def test_minutes_are_replayed_at_their_recorded_places(data: Path, tmp_path: Path) -> None:
    budget, out = Budget(minutes=0.05), tmp_path / "run"
    first = trainer(data, out, budget)
    first.display = Signals(signal.SIGINT, 6)
    with pytest.raises(Interrupted):
        first.run()
    # As if killed after four more steps, whose lines were written: places no clock would give.
    saved = metrics.read(out)
    places = [saved[-1].progress + 0.001 * more for more in (1, 2, 3, 4)]
    later = [
        replace(saved[-1], step=saved[-1].step + more, progress=place)
        for more, place in enumerate(places, start=1)
    ]
    metrics.rewrite(out, [*saved, *later])
    trainer(data, out, budget).run()
    found = metrics.read(out)
    assert [m.progress for m in found[6:10]] == places
    assert [m.step for m in found] == list(range(1, len(found) + 1))
    assert found[6].loss != saved[-1].loss
    assert all(a.progress <= b.progress for a, b in pairwise(found))


def test_a_line_cut_short_by_a_kill_is_dropped(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer(data, out, Budget(samples=15)).run()
    whole = (out / metrics.FILE).read_text()
    (out / metrics.FILE).write_text(whole[:-30])
    assert len(metrics.read(out)) == len(whole.splitlines()) - 1


def test_a_state_that_was_being_written_is_ignored(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer(data, out, Budget(samples=15)).run()
    found = states.latest(out)
    assert found is not None and found.name == "step-00000006"
    shutil.copytree(found, found.with_name(".step-00000009.partial"))
    assert states.latest(out) == found


@pytest.mark.parametrize("name", ["model", "optimiser", "random"])
def test_a_damaged_state_is_one_line(name: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer(data, out, Budget(samples=15)).run()
    found = states.latest(out)
    assert found is not None
    (found / f"{name}.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(ChiasmError, match=rf"{name}.safetensors: cannot be read back") as error:
        trainer(data, out, Budget(samples=30)).run()
    assert "\n" not in str(error.value)


def test_a_state_of_another_model_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer(data, out, Budget(samples=15)).run()
    other, dataset, collator = ready(data, STAGE, stem=(5, 7, 11))
    with pytest.raises(ChiasmError, match=r"encoder\.stem"):
        Trainer(other, dataset, collator, budget=Budget(samples=15), out=out).run()
