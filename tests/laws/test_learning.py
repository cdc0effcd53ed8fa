"""Laws: what a stage teaches moves, what it freezes stays bit-identical."""

import pytest
import torch
from tests.tiny import batch, drawing, every, ragged, tiny

from chiasm.assemble import build
from chiasm.model import PARTS, Model, part_of
from chiasm.spec import registered
from chiasm.stream import Inputs
from chiasm.training.freezing import freeze

STEPS = 3
"""A zero gate opens in the first step; what lies behind it moves from the second."""
DRAWN = 12
"""Where pictures are drawn, a step may teach the layers of one interval of time alone."""


def stages() -> list:
    """Every distinct set of trained parts that a system's stages name, at any scale."""
    found = []
    for parameter in every():
        slug = parameter.values[0]
        scales = registered()[slug].scales.values()
        named = {stage.trained: stage.name for a in scales for stage in a.teaching.stages}
        found += [
            pytest.param(slug, trained, id=f"{slug}-{name}", marks=parameter.marks)
            for trained, name in named.items()
        ]
    return found


def snapshot(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def taught(slug: str) -> Inputs:
    """Everything there is to teach: answers about images, and pictures where the system draws."""
    draws = tiny(slug).head.latent is not None
    return batch(tiny(slug), [*ragged(), *(drawing() if draws else ())])


def teach(model: Model, inputs: Inputs) -> set[str]:
    """A few steps; names of the parameters that received a gradient other than zero."""
    taught = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(taught, lr=1e-2, weight_decay=0.1)
    received: set[str] = set()
    for _ in range(DRAWN if inputs.latents is not None else STEPS):
        optimiser.zero_grad()
        model.loss(inputs).backward()
        received |= {
            name
            for name, p in model.named_parameters()
            if p.grad is not None and bool((p.grad != 0).any())
        }
        optimiser.step()
    return received


def unheard(model: Model) -> set[str]:
    """In the last layer, what one group of rows has for itself and no later row reads: all but its
    keys and values (and the norm before them), where only the other group's rows are taught.
    """
    if not model.answers.experts.groups:
        return set()
    last = f"decoder.stack.layers.{model.answers.host.depth - 1}."
    read = ("k_proj", "v_proj", "k_norm", "input_layernorm")
    return {
        name
        for name, _ in model.named_parameters()
        if name.startswith(last) and ".experts." in name and not any(r in name for r in read)
    }


@pytest.mark.parametrize(("slug", "trained"), stages())
def test_trained_parts_move_and_frozen_ones_do_not(slug, trained):
    model = build(tiny(slug)).train()
    freeze(model, trained)
    before = snapshot(model)
    received = teach(model, taught(slug))
    after = model.state_dict()
    for name, parameter in model.named_parameters():
        if name in unheard(model):
            continue
        if part_of(name) in trained:
            assert name in received, f"{name} received no gradient"
            assert not torch.equal(before[name], after[name]), f"{name} did not move"
        else:
            assert parameter.grad is None
    frozen = [name for name in before if part_of(name) not in trained]
    moved = [name for name in frozen if not torch.equal(before[name], after[name])]
    assert not moved


@pytest.mark.parametrize("slug", every())
def test_parts_are_all_there_is(slug):
    """Every parameter belongs to one part, so that no stage can miss one."""
    model = build(tiny(slug))
    assert sum(len(model.part(part)) for part in PARTS) == len(list(model.parameters()))


@pytest.mark.parametrize("slug", every())
def test_the_loss_falls(slug):
    model, inputs = build(tiny(slug)).train(), taught(slug)
    torch.manual_seed(0)
    first = model.loss(inputs).item()
    teach(model, inputs)
    torch.manual_seed(0)
    assert model.loss(inputs).item() < first
