"""BAGEL's own checks."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from tests.systems.card import count, on_meta, system_or_skip
from tests.systems.drawn import ASKED, flow_loss, noised, velocities, without_drafts
from tests.tiny import Drawn, Picture, batch, close, drawing, fresh, real, said, shared_model, tiny

from chiasm.assemble import build
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.experts import SharedWeights
from chiasm.stream import Modality, Role
from chiasm.training.freezing import copy_own

SLUG = "bagel"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
builds = pytest.mark.evidence(slug=SLUG, grade="builds")

NOTED = (said(2, 3), Picture(1, 30, 50), said(2, 4), Drawn(2, clean=True), said(3, 5), Drawn(3))
"""A picture that is shown, one that is drawn and then seen, one that is drawn."""


@builds
def test_two_weight_sets_at_7b():
    model = on_meta(SYSTEM.at("paper"))
    host, copies = count(model, "decoder", "head"), count(model, "experts")
    assert 7.6e9 < host < 7.7e9
    assert 14.0e9 < host + copies < 14.3e9
    assert 14.5e9 < count(model) < 14.7e9
    layers = model.decoder.stack.layers
    own = sum(p.numel() for n, p in layers.named_parameters() if ".experts." not in n)
    assert copies == own + model.decoder.norm.weight.numel()
    assert SYSTEM.at("paper").head.latent.rows == 4096


@builds
def test_smol_holds_two_of_its_host():
    model = on_meta(SYSTEM.at("smol"))
    assert count(model, "experts") == sum(
        p.numel()
        for n, p in model.decoder.named_parameters()
        if "embed_tokens" not in n and ".experts." not in n
    )


@lawful
@pytest.mark.parametrize("samples", [drawing(), [NOTED]], ids=["drawing", "noted"])
def test_equal_weights_reproduce_one_model(samples):
    """Every row: text, features, clean latents and drafts."""
    model = fresh(tiny(SLUG))
    made = noised(tiny(SLUG), samples, time=0.6)
    one = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
    held = model.state_dict()
    one.load_state_dict({name: held[name] for name in one.state_dict()})
    rows = real(made.inputs)
    expected = one.hidden(made.inputs)[rows]
    assert not torch.allclose(model.hidden(made.inputs)[rows], expected, atol=1e-3)
    copy_own(model)
    close(model.hidden(made.inputs)[rows], expected, 1e-5)


@lawful
def test_the_flow_gives_the_last_understanding_feed_forward_no_gradient():
    """Earlier layers' reach it through the prompt's keys and values; the last one's cannot."""
    model = fresh(tiny(SLUG))
    flow_loss(model, noised(tiny(SLUG), [NOTED, ASKED], time=0.6)).backward()
    first, last = model.decoder.stack.layers[0].mlp, model.decoder.stack.layers[-1].mlp
    for name, parameter in last.named_parameters():
        gradient = parameter.grad
        if ".experts." in name:
            assert gradient is not None and bool((gradient != 0).any()), name
        else:
            assert gradient is None or not bool(gradient.any()), name
    assert all(bool((p.grad != 0).any()) for p in first.parameters())


@lawful
def test_text_gives_the_latents_weights_no_gradient():
    """Where no clean latent is read."""
    model = fresh(tiny(SLUG))
    model.loss(
        batch(tiny(SLUG), [(said(3, 1), Picture(1, 30, 50), said(2, 2, Role.ASSISTANT))])
    ).backward()
    for name, parameter in model.named_parameters():
        if ".experts." in name or "head.flow." in name:
            assert parameter.grad is None or not bool(parameter.grad.any()), name


@lawful
def test_later_rows_are_what_they_are_without_the_noised_copy():
    """Not only whatever its noise is: the copy may be absent."""
    model = shared_model(SLUG)
    with_draft = noised(tiny(SLUG), [NOTED], time=0.5).inputs
    absent = tuple(
        replace(piece, draft=False) if piece == Drawn(2, clean=True) else piece
        for piece in NOTED[:-1]
    )
    without = batch(tiny(SLUG), [absent])
    rows = without_drafts(with_draft)
    assert int(rows.sum()) == without.ids.shape[1]
    close(model(with_draft)[rows], model(without)[real(without)], 1e-5)


@lawful
def test_drafts_see_clean_copies_and_pictures_before_them_only():
    model = shared_model(SLUG)
    made = noised(tiny(SLUG), [NOTED], time=0.5)
    before = velocities(model, made)
    other = noised(tiny(SLUG), [(*NOTED[:3], Drawn(7, clean=True), *NOTED[4:])], time=0.5)
    rows = tiny(SLUG).head.latent.rows
    assert not torch.allclose(velocities(model, other)[rows:], before[rows:], atol=1e-3)
    later = noised(tiny(SLUG), [(*NOTED[:4], said(3, 9), *NOTED[5:])], time=0.5)
    assert torch.equal(velocities(model, later)[:rows], before[:rows])
    assert not torch.equal(velocities(model, later)[rows:], before[rows:])


@lawful
def test_a_picture_that_is_drawn_and_seen_stands_three_times(tmp_path):
    """Its draft, its clean latents at time 0, its features; each at one rotary position."""
    answers = tiny(SLUG)
    tokenizer = fit_tokenizer(["a cup and then a bowl"], 280)
    answers = replace(answers, host=replace(answers.host, vocabulary=len(tokenizer)))
    picture = Image.new("RGB", (50, 30), (200, 30, 60))
    shown = Image.new("RGB", (20, 20))
    example = Example(
        "two",
        (shown,),
        (Turn("a cup", picture=picture), Turn("and then a bowl", picture=picture)),
    )
    inputs = Collator(answers, NANO, tokenizer).batch([example], teach=True)
    table = inputs.table
    kinds = [
        (Modality(m).name, Role(r).name, i)
        for m, r, i in zip(
            *(c[0].tolist() for c in (table.modality, table.role, table.item)), strict=True
        )
    ]
    blocks = [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]
    media = [kind for kind in blocks if kind[0] != "TEXT"]
    assert [(m, r, int(i)) for m, r, i in media] == [
        ("LATENT", "USER", 1),
        ("IMAGE", "USER", 1),
        ("LATENT", "DRAFT", 2),
        ("LATENT", "ASSISTANT", 2),
        ("IMAGE", "ASSISTANT", 2),
        ("LATENT", "DRAFT", 3),
    ]
    for kind in media:
        rows = torch.tensor([k == kind for k in kinds])
        assert len(set(table.position[0, rows, 0].tolist())) == 1
    draft, clean = (
        torch.tensor([k[:2] == ("LATENT", role) and int(k[2]) == 2 for k in kinds])
        for role in ("DRAFT", "ASSISTANT")
    )
    assert torch.equal(table.position[0, draft], table.position[0, clean])
    held = inputs.latents[0]
    assert torch.equal(held[inputs.latent_of[0, draft]], held[inputs.latent_of[0, clean]])
    assert not bool(table.place[0, clean, 0].any())
    # Only the first picture's clean latents are read where nothing follows the second.
    prompt = Collator(answers, NANO, tokenizer).batch(
        [replace(example, turns=(Turn("what is this?", "a cup"),))], teach=True
    )
    assert prompt.latents is None


@lawful
def test_a_step_of_training_moves_both_weight_sets():
    model = build(tiny(SLUG)).train()
    copy_own(model)
    inputs = batch(tiny(SLUG), [*drawing(), NOTED])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch.manual_seed(0)
    first = model.losses(inputs).parts["velocity"].item()
    for _ in range(5):
        optimiser.zero_grad()
        model.loss(inputs).backward()
        optimiser.step()
    torch.manual_seed(0)
    assert model.losses(inputs).parts["velocity"].item() < first
    layer = model.decoder.stack.layers[0].self_attn.q_proj
    assert not torch.equal(layer.weight, layer.experts[0].weight)
