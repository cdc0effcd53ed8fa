"""The card of 174 moma. Its savings are measured by `benchmarks/moma_flops.py`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, system_or_skip
from tests.systems.routing import decided, mixed_layers
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.cost import count
from chiasm.experts import MixtureOfDepths, SharedWeights
from chiasm.experts.execute import execute
from chiasm.stream import Role

SLUG = "moma"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
TEXT_EXPERTS, IMAGE_EXPERTS = slice(0, 4), slice(4, 8)


def quiet(answers):
    """Without the noise, so that two passes can be compared."""
    router = answers.experts.router
    router = replace(router, selection=replace(router.selection, noise=False))
    return replace(answers, experts=replace(answers.experts, router=router))


def with_depths(answers, **changes):
    depths = MixtureOfDepths(base=answers.experts, capacity=0.25, first=1, stride=2, predictors=8)
    return replace(answers, experts=replace(depths, **changes))


def sample(last: int):
    return (said(3, 1), Picture(1, 30, 50), said(2, 2), said(2, last, Role.ASSISTANT))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_experts_take_as_many_rows_as_there_are():
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    decisions = decided(model, inputs)
    assert len(decisions) == 3
    for one in decisions:
        for group, experts in ((0, TEXT_EXPERTS), (1, IMAGE_EXPERTS)):
            sizes = one.routes.sizes[experts]
            assert sum(sizes) == int(((one.group == group) & one.counted).sum())
            assert max(sizes) - min(sizes) <= 1


@lawful
def test_feed_forward_flops_equal_the_dense_models():
    for scale in SYSTEM.scales:
        answers = SYSTEM.at(scale)
        ours, dense = (
            count(each, name="moma").prefill
            for each in (answers, replace(answers, experts=SharedWeights()))
        )
        mixed = sum(line.dense for line in ours if line.name.endswith(" experts"))
        plain = sum(line.dense for line in dense if line.name.endswith(" feed-forward"))
        assert mixed == plain > 0


@lawful
def test_image_rows_never_alter_text_experts_gradients():
    model, inputs = fresh(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    last, outputs = mixed_layers(model)[-1], []
    last.register_forward_hook(lambda m, given, out: outputs.append(out))
    model(inputs)
    media = inputs.table.modality > 0
    for rows, own, other in (
        (media, IMAGE_EXPERTS, TEXT_EXPERTS),
        (real(inputs) & ~media, TEXT_EXPERTS, IMAGE_EXPERTS),
    ):
        model.zero_grad()
        outputs[0][rows].square().sum().backward(retain_graph=True)
        assert bool(last.up_proj.weight.grad[own].any())
        assert not bool(last.up_proj.weight.grad[other].any())


@lawful
def test_a_later_row_changes_an_earlier_one_in_training_only():
    model = fresh(quiet(tiny(SLUG)))
    one, other = (batch(tiny(SLUG), [sample(last)]) for last in (3, 4))
    rows = real(one) & (one.table.role != int(Role.ASSISTANT))
    for training in (True, False):
        model.train(training)
        assert torch.equal(model(one)[rows], model(other)[rows]) != training


@lawful
def test_a_row_gets_its_experts_weighed_by_their_sigmoids():
    model, inputs = fresh(quiet(tiny(SLUG))).train(), batch(tiny(SLUG), ragged())
    one, mixed = decided(model, inputs)[0], mixed_layers(model)[0]
    scores = mixed.experts["router"].gate(one.rows).sigmoid()
    expected = torch.zeros_like(one.rows)
    for row, expert in zip(one.routes.row.tolist(), one.routes.expert.tolist(), strict=True):
        out = mixed.single(one.rows[row : row + 1], expert)[0]
        expected[row] = expected[row] + scores[row, expert] * out
    close(execute(one.rows, one.routes, mixed), expected, 1e-5)


@lawful
def test_rows_nobody_takes_get_the_residual_alone():
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    (one, *_), mixed = decided(model, inputs), mixed_layers(model)[0]
    out = execute(one.rows, one.routes, mixed)
    taken = torch.zeros(len(one.rows), dtype=torch.bool)
    taken[one.routes.row] = True
    assert not bool(out[~taken].any()) and bool((~taken & one.counted).any())


@lawful
def test_with_depths_rows_that_skip_a_layer_stay_as_they_were():
    answers = with_depths(tiny(SLUG), predictors=0)
    model, inputs, given = fresh(answers).train(), batch(tiny(SLUG), [sample(3)]), []
    for layer in (0, 2):
        model.decoder.stack.layers[layer].register_forward_hook(
            lambda m, args, out: given.append((args[0], out))
        )
    model(inputs)
    (_, before), (after, _) = given
    changed = (before != after).any(-1)[0]
    rows = int(real(inputs).sum())
    assert 0 < int(changed.sum()) <= -(-rows // 4)


@lawful
@pytest.mark.parametrize("scale", ["nano", "paper"])
def test_depths_save_three_quarters_of_every_second_layer(scale):
    answers = SYSTEM.at(scale)
    ours, deep = (
        count(each, name="moma").part_flops("decoder") for each in (answers, with_depths(answers))
    )
    share = sum(answers.host.depth > layer for layer in range(1, 99, 2)) / answers.host.depth
    assert deep / ours == pytest.approx(1 - 0.75 * share, abs=0.05)


@lawful
def test_with_depths_it_learns_and_answers_causally():
    answers = with_depths(tiny(SLUG))
    model, inputs = build(answers).train(), batch(tiny(SLUG), ragged())
    adam = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model.losses(inputs).main.item()
    for _ in range(5):
        adam.zero_grad()
        model.loss(inputs).backward()
        adam.step()
    assert model.losses(inputs).main.item() < first
    model = fresh(answers)
    one, other = (batch(tiny(SLUG), [sample(last)]) for last in (3, 4))
    rows = real(one) & (one.table.role != int(Role.ASSISTANT))
    close(model(one)[rows], model(other)[rows], 1e-6)
