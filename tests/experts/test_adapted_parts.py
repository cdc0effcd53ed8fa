"""Adapters on every part through one change of the answers, merged, and served as a bank."""

from dataclasses import replace

import pytest
import torch
from tests.experts.hosts import dense_of, seen, with_experts
from tests.operator_count import operator_macs
from tests.tiny import batch, close, cut, fresh, ragged, real

from chiasm.adapting import adapted, alone, banked, merge_adapters
from chiasm.assemble import build
from chiasm.backbone import Execution, GrowingCache
from chiasm.cost import count, sample_inputs
from chiasm.encoders import VisionTransformer
from chiasm.errors import Misuse
from chiasm.experts import (
    AdaptedLinears,
    AdaptedWeights,
    Bottleneck,
    DoRA,
    GroupLoRA,
    LoRA,
    Place,
    SharedWeights,
    WeightsByGroup,
)
from chiasm.experts.adapted import AdaptedLinear
from chiasm.experts.adapters import EVERY_SITE
from chiasm.fusion import GatedCrossAttention, GatedPrefix, InputAdapters
from chiasm.hub.answers_json import from_json, to_json
from chiasm.model import part_of
from chiasm.stream import MEDIA, TEXT, Modality
from chiasm.training.freezing import freeze

PLAIN = LoRA(sites=EVERY_SITE, rank=3, alpha=6.0, dropout=0.0)
TURNED = DoRA(sites=EVERY_SITE, rank=3, alpha=6.0)
NARROW = Bottleneck(place=Place.BESIDE_FEED_FORWARD, hidden=5)
BASE = replace(
    with_experts(SharedWeights()),
    encoder=VisionTransformer(patch=8, width=20, depth=2, heads=4, ff_width=31),
)


def link(answers, bank=None):
    """AdaLink's adapters of what enters."""
    adapters = InputAdapters(fusion=answers.fusion, kinds=(TEXT, MEDIA), rank=3, bank=bank)
    return replace(answers, fusion=adapters)


WAYS = {
    "LoRA": adapted(BASE, decoder=(PLAIN,)),
    "DoRA": adapted(BASE, decoder=(TURNED,)),
    "an encoder's": adapted(BASE, encoder=AdaptedLinears(adapter=PLAIN)),
    "a connector's": adapted(BASE, connector=AdaptedLinears(adapter=TURNED)),
    "a soft prefix": adapted(BASE, prefix=4),
    "what enters": link(BASE),
    **{
        f"bottleneck {place}": adapted(BASE, between=(replace(NARROW, place=place),))
        for place in Place
    },
    "gated by kind": adapted(
        BASE,
        between=(
            Bottleneck(
                place=Place.BEFORE_FEED_FORWARD,
                hidden=3,
                kinds=(TEXT, MEDIA),
                gated=True,
                bias=False,
                activation="silu",
            ),
        ),
    ),
    "all at once": adapted(
        BASE,
        decoder=(PLAIN,),
        between=(NARROW, replace(NARROW, place=Place.BEHIND_FEED_FORWARD)),
        encoder=AdaptedLinears(adapter=PLAIN),
        connector=AdaptedLinears(adapter=PLAIN),
        prefix=2,
    ),
}
MERGED = {name: WAYS[name] for name in ("LoRA", "DoRA", "an encoder's", "a connector's")}
every_way = pytest.mark.parametrize("answers", WAYS.values(), ids=WAYS)


def base_of(model):
    """The model without its adapters, with its own weights."""
    plain, state = build(BASE), model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval()


@every_way
def test_nothing_at_first_and_something_when_opened(answers):
    model = build(answers).eval()
    inputs = batch(answers, ragged())
    held = real(inputs)
    close(model(inputs)[held], base_of(model)(inputs)[held], 1e-6)
    opened = fresh(answers)
    apart = opened(inputs)[held] - base_of(opened)(inputs)[held]
    assert float(apart.detach().abs().max()) > 1e-3


@every_way
def test_only_what_is_added_learns(answers):
    """A step as the changed stages teach it leaves every weight of the base as it was."""
    model, inputs = build(answers).train(), batch(answers, ragged())
    added = set(dict(model.named_parameters())) - set(dict(build(BASE).named_parameters()))
    assert {part_of(name) for name in added} <= {"experts", "fusion"}
    parts = {part_of(name) for name in added}
    freeze(model, parts)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model.loss(inputs).backward()
        optimiser.step()
    moved = {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved and moved <= added
    stages = answers.teaching.stages
    if answers != WAYS["what enters"]:
        assert all(set(stage.trained) >= parts for stage in stages)


@every_way
def test_cached_steps_equal_the_whole(answers):
    model, inputs = fresh(answers), batch(answers, ragged(), side="left")
    rows, cache = inputs.ids.shape[1], GrowingCache()
    parts = [slice(0, rows - 2), slice(rows - 2, rows - 1), slice(rows - 1, rows)]
    got = torch.cat(
        [model(cut(inputs, part, media=part.start == 0), cache=cache) for part in parts], 1
    )
    close(got[real(inputs)], model(inputs)[real(inputs)], 1e-5)
    masked = model(inputs, execution=Execution.MASKED)
    close(masked[real(inputs)], model(inputs)[real(inputs)], 1e-5)


@pytest.mark.parametrize("name", [name for name in WAYS if name not in ("DoRA", "a connector's")])
def test_the_bill_is_what_the_operators_count(name):
    """DoRA's norms, which are of no row, are left out."""
    answers = WAYS[name]
    model = build(answers).eval().requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = count(answers, text=11, image_size=(53, 71), name="adapted")
    made = 2 * operator_macs(lambda: model(inputs))
    assert bill.prefill_flops_operator == pytest.approx(made, rel=0.01)


@every_way
def test_answers_are_written_and_read(answers):
    assert from_json(to_json(answers)) == answers


@pytest.mark.parametrize("answers", MERGED.values(), ids=MERGED)
def test_merged_equals_unmerged_in_values_and_gradients(answers):
    model, inputs = fresh(answers), batch(answers, ragged())
    held, found = real(inputs), []
    for merged in (False, True):
        if merged:
            assert merge_adapters(model)
            assert not model.part("experts")
        images = inputs.images.clone().requires_grad_()
        words = model.decoder.embed_tokens.weight
        logits = model(replace(inputs, images=images))[held]
        loss = logits.square().sum() / logits.numel()
        found.append((logits.detach(), *torch.autograd.grad(loss, (images, words))))
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-5)


def test_dora_is_the_papers_equation():
    """W' = m V / ||V|| by hand, in values and gradients; ||V|| is a constant of the gradient."""
    model = fresh(adapted(BASE, decoder=(TURNED,)))
    layer = model.decoder.stack.layers[1].self_attn.q_proj
    assert isinstance(layer, AdaptedLinear)
    delta, x = layer.experts[0], torch.randn(2, 5, 29)
    found = []
    for by_hand in (False, True):
        weight = layer.weight.detach()
        if by_hand:
            turned = weight + 2.0 * delta.b @ delta.a
            lengths = weight.norm(dim=1) + delta.length
            y = x @ (lengths / turned.norm(dim=1).detach() * turned.T)
        else:
            y = layer(x)
        wanted = (delta.a, delta.b, delta.length)
        found.append((y.detach(), *torch.autograd.grad(y.square().sum(), wanted)))
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-4)


def test_two_deltas_at_one_layer_are_merged_beside_the_same_w():
    model = fresh(adapted(BASE, decoder=(TURNED, PLAIN)))
    inputs = seen(model)
    before = model(inputs)
    merge_adapters(model)
    close(model(inputs), before, 1e-5)


@pytest.mark.parametrize("name", ["a soft prefix", "bottleneck behind attention"])
def test_what_is_not_linear_is_not_merged(name):
    model = fresh(WAYS[name])
    if name == "a soft prefix":
        assert merge_adapters(model) == 0, "it stands beside no matrix"
        return
    with pytest.raises(Misuse, match="not linear"):
        merge_adapters(model)


def taught_apart(answers, count):
    """Models that share all but their adapters."""
    models = [fresh(answers)]
    for seed in range(1, count):
        other = build(answers).eval()
        other.load_state_dict(models[0].state_dict())
        torch.manual_seed(seed)
        with torch.no_grad():
            for name, parameter in other.named_parameters():
                if part_of(name) == "experts" or ".before." in name:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        models.append(other)
    return models


BANKS = {
    "LoRA": WAYS["LoRA"],
    "DoRA": WAYS["DoRA"],
    "what enters": WAYS["what enters"],
    "both": link(WAYS["LoRA"]),
}


@pytest.mark.parametrize("answers", BANKS.values(), ids=BANKS)
def test_every_row_of_a_batch_has_its_own_adapter(answers):
    """Equal to running each sample through its own model, in values and gradients."""
    models = taught_apart(answers, 3)
    bank = banked(models)
    named = [2, 0, 2]
    inputs = replace(batch(answers, ragged()), adapter=torch.tensor(named))
    held, together = real(inputs), bank(inputs)
    together[held].square().sum().backward()
    grown = {name: p.grad for name, p in bank.named_parameters() if ".bank." in name}
    for at, model in enumerate(models):
        rows = torch.tensor(named) == at
        own = model(inputs)
        close(own[rows.unsqueeze(1) & held], together[rows.unsqueeze(1) & held], 1e-5)
        if not bool(rows.any()):
            continue
        own[rows.unsqueeze(1) & held].square().sum().backward()
        for name, parameter in model.named_parameters():
            if part_of(name) == "experts" or ".before." in name:
                prefix, _, last = name.rpartition(".")
                close(grown[f"{prefix}.bank.{at}.{last}"] / 100, parameter.grad / 100, 1e-4)
    close(alone(bank, 1)(inputs)[held], models[1](inputs)[held], 1e-6)
    other = replace(inputs, adapter=torch.tensor([1, 1, 1]))
    assert float((bank(other) - together)[held].detach().abs().max()) > 1e-3


@pytest.mark.parametrize("answers", BANKS.values(), ids=BANKS)
def test_cached_steps_of_a_bank_keep_the_prompts_adapters(answers):
    bank = banked(taught_apart(answers, 2))
    inputs = replace(batch(answers, ragged(), side="left"), adapter=torch.tensor([1, 0, 1]))
    rows, cache = inputs.ids.shape[1], GrowingCache()
    first = bank(cut(inputs, slice(0, rows - 1), media=True), cache=cache)
    step = replace(cut(inputs, slice(rows - 1, rows), media=False), adapter=None)
    got = torch.cat([first, bank(step, cache=cache)], 1)
    close(got[real(inputs)], bank(inputs)[real(inputs)], 1e-5)


def test_gathered_pairs_equal_adapter_by_adapter():
    bank = banked(taught_apart(WAYS["LoRA"], 3))
    pairs = bank.decoder.stack.layers[0].self_attn.q_proj.experts[0]
    x, named = torch.randn(5, 7, 29), torch.tensor([2, 0, 2, 1, 0])
    close(pairs._gathered(x, named), pairs.slowly(x, named), 1e-6)


def test_a_bank_says_what_it_cannot_do():
    models = taught_apart(WAYS["LoRA"], 2)
    bank, inputs = banked(models), batch(WAYS["LoRA"], ragged())
    with pytest.raises(Misuse, match="no sample names one"):
        bank(inputs)
    with pytest.raises(Misuse, match="adapter 2 is not among 2"):
        bank(replace(inputs, adapter=torch.tensor([0, 2, 0])))
    with pytest.raises(Misuse, match="depends on the sample"):
        merge_adapters(bank)
    with pytest.raises(Misuse, match="share all but their adapters"):
        banked([models[0], fresh(WAYS["LoRA"], seed=7)])
    with pytest.raises(Misuse, match="nothing makes a bank"):
        banked([fresh(BASE), fresh(BASE)])
    with pytest.raises(Misuse, match="these differ"):
        banked([models[0], fresh(WAYS["DoRA"])])


def test_what_cannot_be_adapted_says_so():
    with pytest.raises(Misuse, match="nothing is adapted"):
        adapted(BASE)
    groups = WeightsByGroup(kinds=(TEXT, MEDIA), sites=(), norms=())
    with pytest.raises(Misuse, match="WeightsByGroup has no place"):
        adapted(replace(BASE, experts=groups), decoder=(PLAIN,))
    with pytest.raises(Misuse, match="no linear layer is called q_projection"):
        build(adapted(BASE, encoder=AdaptedLinears(adapter=PLAIN, names=("q_projection",))))
    with pytest.raises(ValueError, match="read no row's kind"):
        AdaptedLinears(
            adapter=GroupLoRA(
                sites=EVERY_SITE, groups=(TEXT, MEDIA), ranks=(1, 1), scale=1.0, dropout=0.0
            )
        )
    before = adapted(BASE, between=(replace(NARROW, place=Place.BEFORE_ATTENTION),))
    with pytest.raises(Misuse, match="arranged 'parallel'"):
        build(replace(before, host=replace(before.host, arrangement="parallel")))
    read = GatedCrossAttention(every=1, heads=2, head_width=6)
    build(replace(BASE, fusion=GatedPrefix(fusion=read, rows=3)), device="meta")
    twice = GatedPrefix(fusion=GatedPrefix(fusion=BASE.fusion, rows=3), rows=3)
    with pytest.raises(Misuse, match="already reads something"):
        build(replace(BASE, fusion=twice))
    with pytest.raises(Misuse, match="acts before the first layer"):
        build(link(link(BASE)))


def test_further_adapters_stand_beside_the_first():
    answers = adapted(WAYS["LoRA"], decoder=(TURNED,), between=(NARROW,))
    assert answers.experts == AdaptedWeights((PLAIN, TURNED), (NARROW,))


def test_named_layers_alone_are_adapted():
    answers = adapted(BASE, encoder=AdaptedLinears(adapter=PLAIN, names=("qkv", "out")))
    model = build(answers)
    adapters = [n for n, m in model.encoder.named_modules() if isinstance(m, AdaptedLinear)]
    assert len(adapters) == 4 and {n.rpartition(".")[2] for n in adapters} == {"qkv", "out"}
    bill = {line.name: line.macs for line in answers.encoder.work((24, 40))}
    assert bill["adapters"] == 15 * 3 * 2 * ((20 + 60) + (20 + 20))


def test_parameters_and_work_of_a_bottleneck():
    """(2 + gated) d r, biases, and for two kinds twice; a row passes one of them."""
    for gated, bias, kinds in ((False, True, 1), (True, False, 2)):
        of = replace(
            NARROW, gated=gated, bias=bias, kinds=(TEXT, MEDIA) if kinds == 2 else (TEXT | MEDIA,)
        )
        model = build(adapted(BASE, between=(of,)), device="meta")
        held = sum(p.numel() for p in model.part("experts"))
        assert held == 3 * kinds * of.weights(BASE.host)
        assert of.weights(BASE.host) == (2 + gated) * 29 * 5 + bias * ((1 + gated) * 5 + 29)
        assert of.idle(BASE.host, Modality.TEXT) == (kinds - 1) * of.weights(BASE.host)


def test_the_merged_model_is_the_plain_one():
    model = fresh(WAYS["LoRA"])
    inputs = seen(model)
    before = model(inputs)
    merge_adapters(model)
    close(dense_of(model)(inputs), before, 1e-5)
