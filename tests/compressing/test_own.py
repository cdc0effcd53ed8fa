"""Reducers on chiasm's own models: dropped rows are gone exactly as if they had been hidden."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.tiny import batch, cut, every, fresh, gradients, ragged, shared_model, sketch, tiny
from torch import Tensor

import chiasm
from chiasm.backbone import Cache, GrowingCache, StaticCache
from chiasm.compressing.own import shape_of
from chiasm.compression.method import methods
from chiasm.encoders import VisionTransformer
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.spec.reading import Execution
from chiasm.stream import Inputs

PLANNED, MASKED = Execution.PLANNED, Execution.MASKED


def droppable(answers: Answers) -> bool:
    """Whether reducers can be attached at all."""
    try:
        return bool(shape_of(sketch(answers)))
    except Misuse:
        return False


def attach(model: Model, name: str, keep: float, **told: Any) -> Any:
    for enough in (keep, 0.6, 0.8, 0.9):
        try:
            return chiasm.compress(model, name, keep=max(keep, enough), **told)
        except Misuse:
            continue
    raise AssertionError(f"{name} meets no budget")


def last(inputs: Inputs, logits: Tensor) -> Tensor:
    """Logits of the last real row of every sample."""
    valid = inputs.table.valid
    rows = valid.shape[1] - 1 - valid.flip(1).int().argmax(1)
    return logits[torch.arange(len(rows)), rows]


def stepped(model: Model, inputs: Inputs, cache: Cache, steps: int) -> Tensor:
    """Logits of the last rows, fed one by one behind the prompt."""
    rows = inputs.ids.shape[1]
    ends = range(rows - steps, rows + 1)
    found = [model(cut(inputs, slice(0, rows - steps), media=True), cache=cache)[:, -1:]]
    for start in ends[:-1]:
        found.append(model(cut(inputs, slice(start, start + 1), media=False), cache=cache))
    return torch.cat(found, 1)


@pytest.fixture(scope="module")
def llava() -> Model:
    """A tiny LLaVA with several layers and encoder blocks."""
    answers = tiny("llava-1.5")
    encoder: Any = answers.encoder
    assert isinstance(encoder, VisionTransformer)
    host = replace(answers.host, depth=5)
    return fresh(replace(answers, encoder=replace(encoder, depth=3), host=host), seed=3)


@pytest.mark.parametrize("slug", every(droppable))
@pytest.mark.parametrize("name", ["random", "uniform", "fastv"])
def test_dropping_is_hiding_in_every_system(slug: str, name: str) -> None:
    model, inputs = shared_model(slug), batch(tiny(slug), ragged(), side="left")
    found, kept = [], []
    for execution in (PLANNED, MASKED):
        with attach(model, name, 0.5, execution=execution) as context:
            found.append(last(inputs, model(inputs)))
            kept.append(context.kept)
    assert kept[0] == kept[1]
    assert kept[0][-1][1] < kept[0][0][1]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)
    assert not model.decoder.stack.thin
    assert not torch.allclose(found[0], last(inputs, model(inputs)), atol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", sorted(methods()))
def test_dropping_is_hiding(llava: Model, name: str, side: str) -> None:
    inputs = batch(llava.answers, ragged(), side=side)
    found = []
    for execution in (PLANNED, MASKED):
        with attach(llava, name, 0.4, execution=execution) as context:
            found.append(last(inputs, llava(inputs)))
            assert context.kept[-1][1] < context.kept[0][1]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("cache", [GrowingCache, lambda: StaticCache(200)])
@pytest.mark.parametrize("name", ["random", "fastv"])
def test_a_cut_cache_is_read_on(llava: Model, name: str, cache: Any) -> None:
    """Ten steps behind the prompt."""
    words = [tuple(one) for one in ragged()[:1]]
    inputs = batch(llava.answers, words, side="left")
    text = int((inputs.source[0] < 0).flip(0).int().argmin())
    found = []
    for execution in (PLANNED, MASKED):
        with attach(llava, name, 0.5, execution=execution):
            found.append(stepped(llava, inputs, cache(), min(10, text - 1)))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(methods()))
def test_a_budget_of_everything_is_the_model_itself(llava: Model, name: str) -> None:
    inputs = batch(llava.answers, ragged())
    plain = llava(inputs)
    with chiasm.compress(llava, name, keep=1):
        assert torch.equal(llava(inputs), plain)
    with attach(llava, name, 0.5):
        llava(inputs)
    assert torch.equal(llava(inputs), plain)
    assert not llava.decoder.stack.thin
    assert "stream" not in vars(llava)


def test_gradients_flow_through_what_is_kept(llava: Model) -> None:
    inputs = batch(llava.answers, ragged())
    found = []
    for execution in (PLANNED, MASKED):
        with attach(llava, "random", 0.5, execution=execution):
            llava.zero_grad()
            last(inputs, llava(inputs)).square().mean().backward()
            found.append(gradients(llava))
    llava.zero_grad()
    assert found[0].keys() == found[1].keys()
    for path, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][path], rtol=0, atol=1e-5)


@pytest.mark.parametrize("slug", every(lambda answers: not droppable(answers)))
def test_others_are_refused_with_the_reason(slug: str) -> None:
    with pytest.raises(Misuse, match=r"cannot be dropped: its \w+"):
        chiasm.compress(sketch(tiny(slug)), "random", keep=0.5)
