"""The card of 078 r2-t2: routings found at test time, in a model that stays as it is."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.errors import Misuse
from chiasm.spec import geometry
from chiasm.stream import Role
from chiasm.training.rerouting import KernelRegression, ModeFinding, NeighbourhoodDescent
from chiasm.training.routed import (
    neighbour_loss,
    references_of,
    rerouted,
    right,
    routed,
    sample_losses,
)

SLUG = "r2-t2"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
ANSWERS = tiny(SLUG)
COUNT = 7


def sample(at: int):
    return (
        said(2, at),
        Picture(at, 24, 40),
        said(3, 50 + at),
        said(1, 3, Role.TAG),
        said(2, 90 + at, Role.ASSISTANT),
    )


def collated(samples):
    return batch(ANSWERS, [sample(at) for at in samples])


def taught(steps: int = 40):
    """A tiny model that answers some of its samples rightly; its router is drawn, lest it stand in
    a corner of the simplex.
    """
    model = build(ANSWERS).train()
    router = model.connector.router.requires_grad_(False)
    router.weight.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    inputs = collated(range(COUNT - 2))
    for _ in range(steps):
        adam.zero_grad()
        model.loss(inputs).backward()
        adam.step()
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return taught()


@pytest.fixture(scope="module")
def gathered(model):
    references, kept = references_of(model, collated, COUNT, batch=3)
    return references, kept, neighbour_loss(model, collated, kept)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_references_are_the_samples_that_are_answered_rightly(model, gathered):
    references, kept, _ = gathered
    wrong = set(range(COUNT)) - set(kept)
    assert len(kept) >= 5 and wrong
    for at in range(COUNT):
        assert bool(right(model, collated([at]))) == (at in kept)
    routing, key = routed(model, collated([kept[1]]))
    torch.testing.assert_close(references.routings[1], routing[0])
    torch.testing.assert_close(references.keys[1], key[0])
    with pytest.raises(Misuse, match="answers none of 2 samples rightly"):
        references_of(build(ANSWERS).eval(), collated, 2)


@lawful
def test_zero_steps_leave_the_output_bit_for_bit(model, gathered):
    references, _, loss = gathered
    test = collated([5, 6])
    same = rerouted(model, test, references, loss, NeighbourhoodDescent(neighbours=3, steps=0))
    with torch.no_grad():
        assert torch.equal(model(same), model(test))
        moved = rerouted(
            model, test, references, loss, NeighbourhoodDescent(neighbours=3, first_rate=0.2)
        )
        assert float((model(moved) - model(test)).abs().max()) > 1e-3


@lawful
@pytest.mark.parametrize(
    "method",
    (
        NeighbourhoodDescent(neighbours=3, steps=3, first_rate=0.1),
        KernelRegression(neighbours=3),
        ModeFinding(neighbours=3),
    ),
    ids=lambda m: type(m).__name__,
)
def test_weights_stay_and_the_order_of_samples_has_no_say(model, gathered, method):
    references, _, loss = gathered
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    one = rerouted(model, collated([5, 6]), references, loss, method).routing
    other = rerouted(model, collated([6, 5]), references, loss, method).routing
    torch.testing.assert_close(one, other.flip(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(one.sum(-1), torch.ones(2))
    assert float(one.min()) >= 0
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


@lawful
def test_the_neighbours_loss_is_that_of_each_alone_and_teaches_no_weight(model, gathered):
    references, kept, loss = gathered
    model.zero_grad(set_to_none=True)
    routing = torch.tensor([0.2, 0.5, 0.3])
    found = loss(routing, torch.tensor([2, 0]))
    for at, value in zip((2, 0), found, strict=True):
        inputs = replace(collated([kept[at]]), routing=routing[None])
        torch.testing.assert_close(value, sample_losses(model, inputs)[0])
        torch.testing.assert_close(value, model.losses(inputs).main)
    method = NeighbourhoodDescent(neighbours=3, steps=2)
    method.reroute(routing, references.keys[0], references, loss)
    assert all(parameter.grad is None for parameter in model.parameters())


@lawful
def test_no_label_of_a_test_sample_is_read(model, gathered):
    references, _, loss = gathered
    method = KernelRegression(neighbours=3)
    test = collated([5, 6])
    silent = rerouted(model, replace(test, labels=None), references, loss, method)
    assert torch.equal(silent.routing, rerouted(model, test, references, loss, method).routing)
    assert silent.to("cpu").labels is None


@lawful
def test_a_model_without_weighed_experts_is_refused():
    with pytest.raises(Misuse, match="weighs no experts for a question"):
        plain = tiny("llava-1.5")
        routed(fresh(plain), batch(plain, [sample(1)]))
    with pytest.raises(Misuse, match="a sample shows no picture"):
        routed(fresh(ANSWERS), batch(ANSWERS, [sample(1), (said(4, 2),)]))


@lawful
def test_published_sizes():
    """LLaVA-1.5's MLP over seven encoders side by side, and a router over them and the words."""
    answers = SYSTEM.at("paper")
    width, host = answers.encoder.width, 4096
    assert width == 10_368 and geometry(answers, (480, 640)).placeholders == 576
    model = on_meta(answers)
    mlp = (width + 1) * host + (host + 1) * host
    assert count(model, "connector") == mlp + 7 * (width + host + 1)


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
