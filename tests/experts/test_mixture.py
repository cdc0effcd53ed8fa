"""Mixed feed-forwards inside a model: dense at first, causal outside of training, billed."""

from dataclasses import replace

import pytest
import torch
from tests.experts.hosts import model_with, penalties, seen, text_only, with_experts
from tests.operator_count import operator_macs
from tests.tiny import batch, close, cut, ragged, real

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.cost import count, sample_inputs
from chiasm.experts import (
    Balance,
    ExpertChoice,
    LoRA,
    MixtureOfDepths,
    MixtureOfExperts,
    Prediction,
    Router,
    SharedWeights,
    TopLogits,
    blocks,
    everyone,
)
from chiasm.experts.adapters import EVERY_SITE, FEED_FORWARD
from chiasm.experts.execute import execute_slowly
from chiasm.experts.mixed import MixedFeedForward
from chiasm.model import part_of
from chiasm.stream import ALL, MEDIA, TEXT, Modality

TOP2 = MixtureOfExperts(
    kinds=(ALL,),
    router=Router(
        eligibility=everyone(4), selection=TopLogits(2), penalties=(Balance(coefficient=0.5),)
    ),
    hidden=None,
    shared=0,
    first=0,
    stride=1,
    adapters=(),
    expert_lora=None,
)
FINE = replace(TOP2, hidden=11, shared=23, first=1, stride=2)
CHOICE = replace(
    TOP2,
    kinds=(TEXT, MEDIA),
    router=Router(
        eligibility=blocks(2, 3), selection=ExpertChoice(), penalties=(Prediction(),), predictors=5
    ),
)
LOW_RANK = replace(
    TOP2,
    adapters=(LoRA(sites=EVERY_SITE, rank=3, alpha=6.0, dropout=0.0),),
    expert_lora=LoRA(sites=FEED_FORWARD, rank=4, alpha=8.0, dropout=0.0),
    stride=2,
)
KINDS = {"top-2": TOP2, "fine-grained": FINE, "expert choice": CHOICE, "low rank": LOW_RANK}


def upcycled(answers, seed=0):
    """A dense model, and one whose every expert is its feed-forward."""
    dense = build(replace(answers, experts=SharedWeights()), seed=seed).eval()
    model = build(answers, seed=seed + 1).eval()
    state = {k: v for k, v in dense.state_dict().items() if k in model.state_dict()}
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    model.load_state_dict({k: v for k, v in state.items() if shapes[k] == v.shape}, strict=False)
    for mixed, plain in zip(model.decoder.stack.layers, dense.decoder.stack.layers, strict=True):
        if isinstance(mixed.mlp, MixedFeedForward):
            mixed.mlp.copy_from(plain.mlp)
    return dense, model


@pytest.mark.parametrize("answer", [TOP2, LOW_RANK], ids=["top-2", "low rank"])
def test_copies_of_the_dense_feed_forward_are_the_dense_model(answer):
    dense, model = upcycled(with_experts(answer))
    inputs = batch(model.answers, ragged())
    close(model(inputs)[real(inputs)], dense(inputs)[real(inputs)], 1e-5)


@pytest.mark.parametrize("answer", KINDS.values(), ids=KINDS)
def test_a_models_execution_equals_one_expert_after_the_other(answer, monkeypatch):
    model = model_with(answer)
    inputs = batch(model.answers, ragged())
    fast = model(inputs)
    model.loss(inputs).backward()
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    monkeypatch.setattr("chiasm.experts.mixed.execute", execute_slowly)
    close(fast, model(inputs), 1e-5)
    model.loss(inputs).backward()
    for got, parameter in zip(grads, model.parameters(), strict=True):
        if parameter.grad is not None:
            close(got, parameter.grad, 1e-5)


@pytest.mark.parametrize("answer", KINDS.values(), ids=KINDS)
def test_active_parameters_are_those_a_row_meets(answer):
    """Counted by hand: experts a row passes, its scores, and what nobody routes."""
    host, d, ff = with_experts(answer).host, 29, 37
    one = {
        "top-2": 3 * 2 * 3 * d * ff,
        "fine-grained": 1 * 2 * 3 * d * 11,
        "low rank": 2 * 2 * (3 * d * ff + 3 * 4 * (d + ff)),
    }
    for name, expected in one.items():
        if KINDS[name] == answer:
            assert answer.idle(host, Modality.TEXT) == expected
    if answer == CHOICE:
        assert answer.idle(host, Modality.TEXT) == 3 * 4 * 3 * d * ff
        assert answer.idle(host, Modality.IMAGE) == 3 * 4 * 3 * d * ff


@pytest.mark.parametrize("answer", KINDS.values(), ids=KINDS)
def test_the_bill_agrees_with_the_operator_counter(answer):
    """Of training where the choice depends on other rows; widths that need no padding."""
    answers = with_experts(answer, width=32, ff_width=40)
    answers = replace(
        answers, experts=replace(answer, hidden=answer.hidden and 16, shared=answer.shared and 24)
    )
    model = build(answers).requires_grad_(False)
    model.train(answer.router.selection.looks_ahead)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = count(answers, text=11, image_size=(53, 71), name="mixture")
    made = 2 * operator_macs(lambda: model(inputs))
    assert bill.prefill_flops_operator == pytest.approx(made, rel=0.01)


def test_expert_choice_takes_as_many_rows_as_each_modality_has():
    model = build(with_experts(CHOICE)).train()
    calls = []
    for layer in model.decoder.stack.layers:
        layer.mlp.experts["router"].register_forward_hook(
            lambda m, given, routes: calls.append((given[1], given[2], routes))
        )
    model(batch(model.answers, ragged()))
    assert len(calls) == 3
    for group, counted, routes in calls:
        for number, experts in ((0, slice(0, 2)), (1, slice(2, 5))):
            assert sum(routes.sizes[experts]) == int((counted & (group == number)).sum()) > 0


def test_a_later_row_changes_an_earlier_one_only_while_training():
    model = model_with(CHOICE)
    for layer in model.decoder.stack.layers:
        layer.mlp.experts["router"].router = replace(
            CHOICE.router, selection=ExpertChoice(noise=False)
        )
    one, other = seen(model), seen(model)
    other.ids[:, -1] = (other.ids[:, -1] + 1) % 101
    for training, changes in ((True, True), (False, False)):
        model.train(training)
        a, b = model(one)[:, :-1], model(other)[:, :-1]
        assert torch.equal(a, b) != changes


def test_image_rows_never_alter_the_gradients_of_text_experts():
    """What reaches a text expert passes through text rows: with images' loss alone, nothing."""
    model = model_with(CHOICE).train()
    inputs = seen(model)
    hidden = model.hidden(inputs)
    last = model.decoder.stack.layers[-1].mlp
    hidden[inputs.table.modality > 0].square().sum().backward()
    for matrix in (last.gate_proj, last.up_proj, last.down_proj):
        assert not bool(matrix.weight.grad[:2].any())
        assert bool(matrix.weight.grad[2:].any())


def test_penalties_reach_the_router_and_never_the_reported_loss():
    model = model_with(TOP2)
    inputs = batch(model.answers, ragged())
    taught = model.losses(inputs)
    assert set(taught.auxiliary) == {"balance"}
    assert taught.total.item() == pytest.approx(
        taught.main.item() + taught.auxiliary["balance"].item()
    )
    silent = replace(TOP2, router=replace(TOP2.router, penalties=()))
    quiet = model_with(silent).losses(inputs)
    assert quiet.auxiliary == {}
    assert torch.equal(quiet.main, taught.main)
    taught.auxiliary["balance"].backward()
    for layer in model.decoder.stack.layers:
        assert bool(layer.mlp.experts["router"].gate.weight.grad.any())


def test_padding_teaches_the_router_nothing():
    model = model_with(TOP2)
    short = batch(model.answers, ragged())
    long = batch(model.answers, ragged(), length=short.ids.shape[1] + 5)
    close(penalties(model, long)["balance"], penalties(model, short)["balance"], 1e-6)


def test_what_is_the_hosts_and_what_is_added():
    """Experts are the host's feed-forward; routers and low-rank deltas are added to it."""
    names = {n for n, _ in model_with(LOW_RANK).named_parameters() if part_of(n) == "experts"}
    assert all("router" in n or ".experts." in n for n in names)
    assert "decoder.stack.layers.0.mlp.experts.router.gate.weight" in names
    assert "decoder.stack.layers.0.mlp.up_proj.weight" not in names


def test_merged_expert_adapters_change_nothing():
    model = model_with(replace(LOW_RANK, adapters=()))
    inputs = seen(model)
    before = model(inputs)
    for layer in model.decoder.stack.layers:
        if isinstance(layer.mlp, MixedFeedForward):
            for matrix in (layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj):
                matrix.merge()
    close(model(inputs), before, 1e-5)


def test_groups_named_and_groups_known_must_agree():
    with pytest.raises(ValueError, match="knows 1 groups of rows, 2 are named"):
        replace(TOP2, kinds=(TEXT, MEDIA))


DEPTHS = MixtureOfDepths(base=TOP2, capacity=0.4, first=1, stride=2, predictors=5)


def test_every_row_kept_with_weight_one_half_is_the_layer_halved():
    """sigma(0) = 1/2: h + (layer(h) - h) / 2, by hand on the layer's own output."""
    every = replace(DEPTHS, base=SharedWeights(), capacity=1.0, predictors=0)
    model = model_with(every)
    inputs = seen(model)
    with torch.no_grad():
        for choose in model.decoder.stack.choose.values():
            choose.gate.weight.zero_()
    given = []
    model.decoder.stack.layers[1].register_forward_hook(
        lambda m, args, out: given.append((args[0], out))
    )
    model.decoder.stack.layers[2].register_forward_hook(
        lambda m, args, out: given.append((args[0], out))
    )
    model(inputs)
    (before, after), (next_in, _) = given
    close(next_in, before + 0.5 * (after - before), 1e-5)


def test_rows_that_skip_stay_as_they_were():
    model = model_with(replace(DEPTHS, base=SharedWeights(), predictors=0))
    inputs, given = seen(model), []
    for layer in (0, 2):
        model.decoder.stack.layers[layer].register_forward_hook(
            lambda m, args, out: given.append((args[0], out))
        )
    model(inputs)
    (_, before), (after, _) = given
    changed = (before != after).any(-1)[0]
    assert int(changed.sum()) == 10, "ceil(0.4 * 23 rows)"


def test_skipping_is_causal_outside_of_training_and_cached_steps_agree():
    model = model_with(DEPTHS)
    one, other = seen(model), seen(model)
    other.ids[:, -1] = (other.ids[:, -1] + 1) % 101
    assert torch.equal(model(one)[:, :-1], model(other)[:, :-1])
    cache, rows = GrowingCache(), one.ids.shape[1]
    first = model(cut(one, slice(0, rows - 2), media=True), cache=cache)
    steps = [
        model(cut(one, slice(at, at + 1), media=False), cache=cache) for at in (rows - 2, rows - 1)
    ]
    close(torch.cat([first, *steps], 1), model(one), 1e-5)


def test_batched_depths_equal_single_ones():
    model = model_with(DEPTHS)
    together = batch(model.answers, ragged())
    logits = model(together)
    for number, sample in enumerate(ragged()):
        alone = model(batch(model.answers, [sample]))[0]
        close(logits[number][real(together)[number]], alone, 1e-4)


def test_depth_routers_and_their_predictors_learn():
    model = model_with(DEPTHS).train()
    model.loss(batch(model.answers, ragged())).backward()
    for name, parameter in model.named_parameters():
        if ".choose." in name:
            assert part_of(name) == "experts"
            assert parameter.grad is not None and bool(parameter.grad.any()), name


def test_the_bill_of_depths_agrees_with_the_operator_counter():
    answers = with_experts(DEPTHS, width=32, ff_width=40)
    model = build(answers).requires_grad_(False).train()
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = count(answers, text=11, image_size=(53, 71), name="depths")
    made = 2 * operator_macs(lambda: model(inputs))
    assert bill.prefill_flops_operator == pytest.approx(made, rel=0.01)


def test_text_alone_runs():
    for answer in (*KINDS.values(), DEPTHS):
        model = model_with(answer)
        assert model(text_only(model)).isfinite().all()
