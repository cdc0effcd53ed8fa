"""The card of 223 moda; its adapter alone is tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, shared_model, tiny
from torch import Tensor

from chiasm.assemble import build
from chiasm.connectors import MLP
from chiasm.cost import count as cost
from chiasm.stream import Role

SLUG = "moda"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

BEFORE, PATCHES = 3, 15
PICTURE, TAG = Picture(1, 30, 50), said(1, 9, Role.TAG)


def tokens(*after, side="right", length=None) -> Tensor:
    """The image's tokens as they enter, in a prompt that goes on like this."""
    inputs = batch(tiny(SLUG), [(said(BEFORE, 1), PICTURE, *after)], side=side, length=length)
    entered = shared_model(SLUG).stream(inputs).embeddings
    return entered[inputs.source >= 0]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_parameters_at_width_4096():
    answers = SYSTEM.at("paper")
    model, plain = (on_meta(a) for a in (answers, replace(answers, connector=MLP())))
    new = count(model) - count(plain)
    assert new == 302_114_816 and count(model, "connector") - count(plain, "connector") == new
    host = count(model, "decoder", "head")
    assert host == 8_030_261_248
    assert round(100 * new / host, 2) == 3.76


@lawful
def test_it_adds_few_flops_beside_the_decoder():
    """Under 1% is claimed. The adapter is 3.8% of the parameters and runs on every visual token,
    which are most of a prompt: dense counting gives 4%.
    """
    answers = SYSTEM.at("paper")
    with_it, without = (
        cost(a, visual=576, text=64).prefill_flops
        for a in (answers, replace(answers, connector=MLP()))
    )
    assert 0.02 < with_it / without - 1 < 0.05


@lawful
def test_masks_lie_between_zero_and_one_and_no_token_grows():
    model, inputs = fresh(tiny(SLUG)).requires_grad_(False), batch(tiny(SLUG), ragged())
    given, masks = [], []
    connector = model.connector
    connector.mlp.register_forward_hook(lambda m, args, out: given.append(out))
    connector.to_mask.register_forward_hook(lambda m, args, out: masks.append(out.sigmoid()))
    entered = model.stream(inputs).embeddings[inputs.source >= 0]
    assert bool(((masks[0] > 0) & (masks[0] < 1)).all())
    assert float(masks[0].max()) > 0.55 and float(masks[0].min()) < 0.45
    # Three images of two samples, each of them of its own question.
    held = given[0][[0, 4, 5]].flatten(0, 1)
    assert bool((entered.abs() <= held.abs()).all())


@lawful
def test_a_fresh_mask_is_around_a_half():
    model, inputs = build(tiny(SLUG)).eval().requires_grad_(False), batch(tiny(SLUG), ragged())
    masks = []
    model.connector.to_mask.register_forward_hook(lambda m, args, out: masks.append(out.sigmoid()))
    model.stream(inputs)
    assert abs(float(masks[0].mean()) - 0.5) < 0.1


@lawful
def test_another_question_gives_other_tokens():
    one, other = tokens(said(4, 2), TAG), tokens(said(4, 3), TAG)
    assert float((one - other).abs().max()) > 1e-3
    # What is asked before the image counts as well.
    inputs = batch(tiny(SLUG), [(said(BEFORE, 5), PICTURE, said(4, 2), TAG)])
    moved = shared_model(SLUG).stream(inputs).embeddings[inputs.source >= 0]
    assert float((one - moved).abs().max()) > 1e-3


@lawful
def test_answers_and_padding_change_no_token():
    plain = tokens(said(4, 2), TAG)
    for answer in (said(2, 7, Role.ASSISTANT), said(5, 8, Role.ASSISTANT)):
        close(tokens(said(4, 2), TAG, answer), plain, 1e-6)
    for side in ("left", "right"):
        close(tokens(said(4, 2), TAG, side=side, length=41), plain, 1e-6)


@lawful
def test_a_shared_image_is_modulated_for_each_question():
    samples = [(PICTURE, said(4, 2)), (PICTURE, said(3, 3))]
    inputs = batch(tiny(SLUG), samples)
    assert len(inputs.images) == 1
    one, other = shared_model(SLUG).stream(inputs).embeddings[inputs.source >= 0].chunk(2)
    assert float((one - other).abs().max()) > 1e-3


@lawful
def test_a_mask_of_ones_gives_llava():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    answers = replace(tiny(SLUG), connector=MLP())
    llava, state = build(answers).eval().requires_grad_(False), model.state_dict()
    names = {name: name.replace("connector.", "connector.mlp.") for name in llava.state_dict()}
    llava.load_state_dict({name: state[mine] for name, mine in names.items()})
    inputs = batch(answers, ragged())
    assert float((model(inputs) - llava(inputs))[real(inputs)].abs().max()) > 1e-3
    model.connector.mask = lambda tokens, features, asked: torch.ones_like(tokens)
    assert torch.equal(model(inputs), llava(inputs))


@lawful
def test_no_template_layer_is_left_unused():
    """Two layers, a mask and the MLP: nothing is registered that does not run."""
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    model.loss(inputs).backward()
    assert len(model.connector.layers) == 2
    idle = [n for n, p in model.connector.named_parameters() if p.grad is None]
    assert not idle
