"""The card of 132 evev2. Weights by row group are held to their equations in `tests/experts`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.experts import SharedWeights
from chiasm.model import part_of
from chiasm.spec import geometry
from chiasm.stream import Role
from chiasm.training.freezing import copy_own, freeze

SLUG = "evev2"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")
TEXT_ONLY = ((said(5, 1), said(2, 2, Role.ASSISTANT)),)


def dense(model):
    """The decoder without copies, with the same weights."""
    state = model.state_dict()
    plain = build(replace(model.answers, experts=SharedWeights()))
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval()


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize(("size", "tokens"), [((1600, 1600), 2551), ((500, 500), 2551)])
def test_an_image_becomes_a_class_row_and_split_rows(size, tokens):
    assert geometry(PAPER, size).placeholders == tokens
    rows, columns = geometry(PAPER, (480, 640)).grids[0]
    assert geometry(PAPER, (480, 640)).placeholders == 1 + rows * (columns + 1)


@lawful
def test_added_parameters_are_the_published_number():
    model = on_meta(PAPER)
    assert sum(p.numel() for p in model.part("experts")) == 6_525_618_176
    assert all("embed_tokens" not in n for n, _ in model.named_parameters() if ".experts." in n)
    assert not [n for n, _ in model.named_parameters() if n.startswith("decoder.norm.experts")]


@lawful
def test_right_after_copying_logits_are_the_dense_models():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    plain, rows = dense(model), real(inputs)
    assert float((model(inputs) - plain(inputs))[rows].detach().abs().max()) > 1e-3
    copy_own(model)
    close(model(inputs)[rows], plain(inputs)[rows], 1e-5)


@lawful
def test_first_stages_leave_text_alone_bit_for_bit():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    text = batch(tiny(SLUG), TEXT_ONLY)
    before = model(text)
    for stage in PAPER.teaching.stages[:3]:
        if stage.copies:
            copy_own(model)
        freeze(model, stage.trained)
        adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        changed = model(inputs).detach()
        for _ in range(2):
            adam.zero_grad()
            model.loss(inputs).backward()
            adam.step()
        assert not torch.equal(model(inputs), changed)
        assert torch.equal(model.eval()(text), before)


@lawful
def test_an_image_alone_gives_text_copies_no_gradient():
    """Its own rows read nothing but image rows."""
    model = fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), [(Picture(1, 30, 50), said(1, 2))])
    media = inputs.table.modality > 0
    model.hidden(inputs)[media].square().sum().backward()
    for name, parameter in model.decoder.stack.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved == (part_of(f"decoder.stack.{name}") == "experts"), name


@lawful
def test_attention_is_joint_and_causal():
    model = fresh(tiny(SLUG))
    before, after = said(3, 1), said(4, 2)
    one, other = (
        model(batch(tiny(SLUG), [(before, Picture(number, 30, 50), after)])) for number in (1, 2)
    )
    assert torch.equal(one[:, :3], other[:, :3])
    assert not torch.equal(one[:, -4:], other[:, -4:])


@lawful
def test_embeddings_last_norm_and_head_are_shared():
    names = {
        n.split(".experts.")[0] for n, _ in fresh(tiny(SLUG)).named_parameters() if ".experts." in n
    }
    assert names and all(name.startswith("decoder.stack.layers.") for name in names)
