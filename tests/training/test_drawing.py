"""Teaching to draw: copies as a stage begins, the flow's loss, and a run that was interrupted."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.tiny import tiny_answers

from chiasm.assemble import build
from chiasm.data import Dataset, Example, Turn
from chiasm.spec import Scale, System, registered
from chiasm.training import Budget, Interrupted, Metrics, Options, Silent, metrics, train
from chiasm.training.freezing import copy_own

DRAWING = [s for s, of in registered().items() if of.at("nano").head.latent is not None]
COPYING = [s for s in DRAWING if any(t.copies for t in registered()[s].at("nano").teaching.stages)]
systems = pytest.mark.parametrize("slug", DRAWING)
OPTIONS = Options(batch=4, checkpoint_steps=1000)


def tiny_system(slug: str) -> System:
    of = registered()[slug]
    answers = tiny_answers(of.at("nano"))
    host = replace(answers.host, vocabulary=300, max_positions=200)
    return replace(of, scales={Scale.NANO: replace(answers, host=host)})


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Seven plain pictures, drawn from their colour and named."""
    folder = tmp_path_factory.mktemp("captions")
    examples: list[Example] = []
    for number, colour in enumerate(["red", "lime", "blue", "cyan", "gold", "gray", "pink"]):
        path = folder / f"{colour}.png"
        Image.new("RGB", (10, 6), colour).save(path)
        examples.append(Example(f"{number}/draw", (), (Turn(colour, picture=path),)))
        examples.append(Example(f"{number}/tell", (path,), (Turn("what is it?", colour),)))
    return Dataset("captions", "train", tuple(examples))


class Stops(Silent):
    """Interrupts this process after a step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def step(self, metrics: Metrics) -> None:
        if metrics.step == self.after:
            os.kill(os.getpid(), signal.SIGINT)


def curve(out: Path) -> list[tuple]:
    lines = (out / metrics.FILE).read_text().splitlines()
    told = [json.loads(line) for line in lines]
    return [(one["loss"], one["gradient_norm"], one["auxiliary"]) for one in told]


@systems
def test_an_interrupted_run_draws_the_same_noise_and_goes_on_bit_for_bit(slug, captions, tmp_path):
    of, budget = tiny_system(slug), Budget(samples=60)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(of, "nano", captions, budget, whole, options=OPTIONS, display=Silent())
    with pytest.raises(Interrupted):
        train(of, "nano", captions, budget, cut, options=OPTIONS, display=Stops(7))
    train(of, "nano", captions, budget, cut, options=OPTIONS, display=Silent(), resume=True)
    assert curve(cut) == curve(whole)
    assert {"text", "velocity"} == set().union(*(auxiliary for _, _, auxiliary in curve(whole)))


@pytest.mark.parametrize("slug", COPYING)
def test_copies_begin_as_the_host_s_own_weights(slug):
    model = build(tiny_system(slug).at(Scale.NANO))
    named = dict(model.named_parameters())
    copies = {
        name: name.replace(".experts.0", "", 1)
        if not name.startswith("decoder.stack.experts.")
        else name.replace("decoder.stack.experts.0", "decoder.stack.layers")
        for name in named
        if ".experts." in name
    }
    assert copies and any(not torch.equal(named[a], named[b]) for a, b in copies.items())
    copy_own(model)
    assert all(torch.equal(named[copy], named[own]) for copy, own in copies.items())
