import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from tests.training.toy import ADAPT, ALIGN, STAGE, ready, toy

from chiasm.data.order import Order
from chiasm.errors import ChiasmError, Misuse
from chiasm.hub import open_checkpoint, read_record
from chiasm.training import Budget, Metrics, Options, Silent, Trainer, metrics, result, train
from chiasm.training import state as states
from chiasm.training.flops import step_flops
from chiasm.training.prefetch import windows


def run(data: Path, out: Path, **changed: Any) -> Path:
    settings: dict[str, Any] = dict(
        scale="nano",
        data=str(data),
        budget=Budget(samples=9),
        out=out,
        threads=1,
        seed=1,
        display=Silent(),
    )
    return train(changed.pop("system", toy()), **(settings | changed))


def test_a_finished_run_is_a_checkpoint_with_its_record(data: Path, tmp_path: Path) -> None:
    out = run(data, tmp_path / "run")
    found = result(out)
    assert found is not None
    assert (found["steps"], found["samples"], found["threads"]) == (3, 9, 1)
    assert found["samples_per_second"] == pytest.approx(9 / found["seconds"])
    assert len(metrics.read(out)) == 3
    opened = open_checkpoint(out)
    assert (opened.slug, opened.scale, opened.template.name) == ("toy", "nano", "nano")
    assert read_record(out).extra["training"]["samples"] == 9
    settings = json.loads((out / "run.json").read_text())["settings"]
    assert settings["system"] == "toy" and len(settings["data_sha256"]) == 64
    assert len(opened.tokenizer) == opened.model.answers.host.vocabulary <= 300
    assert states.latest(out) is None
    assert not list(out.glob(".*"))


def test_it_learns(data: Path, tmp_path: Path) -> None:
    out = run(data, tmp_path / "run", budget=Budget(samples=360))
    losses = [m.loss for m in metrics.read(out)]
    assert sum(losses[-5:]) / 5 < 0.5 * losses[0]


def test_a_seed_repeats_itself_and_another_does_not(data: Path, tmp_path: Path) -> None:
    curves = [
        [m.loss for m in metrics.read(run(data, tmp_path / str(at), seed=seed))]
        for at, seed in enumerate((1, 1, 2))
    ]
    assert curves[0] == curves[1] != curves[2]


def test_a_folder_in_use_is_refused(data: Path, tmp_path: Path) -> None:
    out = run(data, tmp_path / "run")
    with pytest.raises(Misuse, match=r"is not empty; give --resume"):
        run(data, out)


def test_a_file_for_a_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(Misuse, match="is a file; name a folder"):
        run(data, tmp_path / "run")


def test_two_processes_never_share_a_folder(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(Misuse, match="another process"):
        run(data, tmp_path / "run")


def test_a_strange_folder_is_not_resumed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Misuse, match=r"holds no run \(run.json is missing\)"):
        run(data, tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 4}, "begun with seed 1, not 4"),
        ({"budget": Budget(samples=12)}, r"begun with budget .*9.* not .*12"),
        ({"options": Options(batch=2)}, "begun with batch null, not 2"),
        ({"overrides": ("host.depth=1",)}, "begun with overrides"),
    ],
)
def test_a_run_is_resumed_as_it_was_begun(
    changed: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    out = run(data, tmp_path / "run")
    with pytest.raises(Misuse, match=message):
        run(data, out, resume=True, **changed)


def test_changed_data_is_noticed(data: Path, tmp_path: Path) -> None:
    mine = data.with_name("mine.json")
    mine.write_text(data.read_text())
    out = run(mine, tmp_path / "run")
    mine.write_text(data.read_text().replace("Is it gray?", "Is it grey?"))
    with pytest.raises(Misuse, match="begun with data_sha256"):
        run(mine, out, resume=True)


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_resuming_a_finished_run_changes_nothing(data: Path, tmp_path: Path) -> None:
    out, notes = run(data, tmp_path / "run"), Notes()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert run(data, out, resume=True, display=notes) == out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "3 steps were taught" in notes.said[0]


def test_resuming_nothing_begins(data: Path, tmp_path: Path) -> None:
    notes = Notes()
    out = run(data, tmp_path / "run", resume=True, display=notes)
    assert "starting from the beginning" in notes.said[0]
    assert len(metrics.read(out)) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scale": "paper"}, "the paper scale is for `chiasm cost`"),
        ({"scale": "huge"}, "unknown scale 'huge'"),
        ({"system": "no-such-system"}, "unknown system"),
        ({"threads": 0}, "threads is at least 1"),
        ({"device": "abacus"}, "no device is called 'abacus'"),
        ({"system": toy(replace(STAGE, schedule="steep"))}, "asks for the schedule 'steep'"),
        ({"system": toy(replace(STAGE, trained=("head",)))}, "teaches head, where this model"),
        ({"options": Options(precision="fp8")}, "auto, fp32, bf16, not 'fp8'"),
    ],
)
def test_a_refused_run_leaves_nothing_behind(
    changed: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misuse, match=message) as refusal:
        run(data, tmp_path / "run", **changed)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"accumulate": 0}, {"batch": 2, "accumulate": 3}])
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        Options(**wrong)  # type: ignore[arg-type]


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    stage = replace(STAGE, learning_rate=1e30, warmup=0.0)
    with pytest.raises(ChiasmError, match=r"^step \d+: the .* is (nan|inf) on the samples p\d+, "):
        run(data, tmp_path / "run", system=toy(stage), budget=Budget(samples=90))


def test_a_broken_step_leaves_the_weights_whole(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data)
    trainer = Trainer(model, dataset, collator, budget=Budget(samples=9), out=tmp_path / "run")
    with torch.no_grad():
        model.decoder.norm.weight[0] = float("inf")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ChiasmError, match=r"^step 1: the loss is nan"):
        trainer.run()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_minutes_are_kept_and_shared_among_stages(data: Path, tmp_path: Path) -> None:
    seconds = 3.0
    out = tmp_path / "run"
    began = time.monotonic()
    model, dataset, collator = ready(data, ALIGN, ADAPT)
    Trainer(model, dataset, collator, budget=Budget(minutes=seconds / 60), out=out).run()
    assert time.monotonic() - began < seconds + 10
    found = metrics.read(out)
    longest = max(b.seconds - a.seconds for a, b in pairwise(found))
    assert seconds <= found[-1].seconds <= seconds + longest + 0.5
    switched = next(m.seconds for m in found if m.stage == "adapt")
    assert switched == pytest.approx(0.4 * seconds, abs=longest + 0.1)
    # The rate falls with the clock: linear from the peak after warm-up to nothing at the end.
    assert found[-1].lr < 0.1 * ADAPT.learning_rate


def test_a_budget_of_flops_buys_the_steps_it_pays_for(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data)
    order = Order(len(dataset), 0)
    made = windows(dataset, collator, order, start=0, batch=3, accumulate=1)
    each = sum(step_flops(model, next(made)) for _ in range(4)) / 4
    Trainer(model, dataset, collator, budget=Budget(flops=5.2 * each), out=tmp_path / "run").run()
    assert len(metrics.read(tmp_path / "run")) == 5


def test_flops_of_frozen_parts_are_not_paid_for(data: Path) -> None:
    model, dataset, collator = ready(data)
    made = windows(dataset, collator, Order(11, 0), start=0, batch=3, accumulate=1)
    window = next(made)
    everything = step_flops(model, window)
    # The head alone: 2 FLOPs a multiply-add, forward once and backward twice.
    head = 3 * 2 * window.labels * model.answers.host.width * model.answers.host.vocabulary
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("connector"))
    connector_only = step_flops(model, window)
    assert head < connector_only < everything
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bf16_learns_and_keeps_float32_weights(data: Path, tmp_path: Path) -> None:
    model, dataset, collator = ready(data)
    options = Options(precision="bf16")
    budget, out = Budget(samples=120), tmp_path / "run"
    Trainer(model, dataset, collator, budget=budget, out=out, options=options).run()
    losses = [m.loss for m in metrics.read(out)]
    assert losses[-1] < 0.8 * losses[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    exact = run(data, tmp_path / "exact", budget=Budget(samples=3), options=Options())
    assert metrics.read(exact)[0].loss != losses[0]


class Steps(Silent):
    def __init__(self) -> None:
        self.seen: list[Metrics] = []

    def step(self, metrics: Metrics) -> None:
        self.seen.append(metrics)


def test_the_display_is_told_what_the_file_says(data: Path, tmp_path: Path) -> None:
    steps = Steps()
    out = run(data, tmp_path / "run", display=steps)
    assert steps.seen == metrics.read(out)
