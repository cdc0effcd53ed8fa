"""Low-rank deltas: identity at first, merged, by row group, by sample."""

from dataclasses import replace

import pytest
import torch
from tests.experts.hosts import ROWS, dense_of, model_with, penalties, seen, with_experts
from tests.tiny import Picture, batch, close, cut, ragged, real, said

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.errors import Misuse
from chiasm.experts import (
    AdaptedWeights,
    GroupLoRA,
    LoRA,
    PromptLoRA,
    TaskLoRA,
    Variation,
    merge_adapters,
)
from chiasm.experts.adapters import ATTENTION, EVERY_SITE, FEED_FORWARD
from chiasm.experts.lora import SampleLowRank, sample_low_rank_slowly
from chiasm.model import part_of
from chiasm.spec.slots import Site
from chiasm.stream import MEDIA, TEXT, Modality, Role

PLAIN = LoRA(sites=EVERY_SITE, rank=3, alpha=6.0, dropout=0.0)
GROUPS = GroupLoRA(sites=EVERY_SITE, groups=(TEXT, MEDIA), ranks=(5, 2), scale=2.0, dropout=0.0)
GATES = (
    (Site.OUTPUT, Site.OUTPUT),
    (Site.GATE, Site.GATE),
    (Site.UP, Site.GATE),
    (Site.DOWN, Site.GATE),
)
PROMPT = PromptLoRA(gates=GATES, experts=4, rank=3, alpha=6.0, dropout=0.0, noise=0.1, penalties=())
TASK = TaskLoRA(sites=ATTENTION, tasks=(TEXT, MEDIA), rank=3, alpha=3.0, dropout=0.0)
ALL = {
    "plain": (PLAIN,),
    "by group": (GROUPS,),
    "by prompt": (PROMPT,),
    "by task": (TASK,),
    "two at a site": (replace(PLAIN, sites=(Site.QUERY, Site.KEY)), GROUPS),
}


@pytest.mark.parametrize("adapters", ALL.values(), ids=ALL)
def test_identity_at_first(adapters):
    """Fresh adapters change nothing (rows sorted by group round otherwise); opened ones do."""
    model = build(with_experts(AdaptedWeights(adapters))).eval()
    inputs = seen(model)
    if any(adapter.groups for adapter in adapters):
        close(model(inputs), dense_of(model)(inputs), 1e-6)
    else:
        assert torch.equal(model(inputs), dense_of(model)(inputs))
    opened = model_with(AdaptedWeights(adapters))
    difference = opened(inputs) - dense_of(opened)(inputs)
    assert float(difference.detach().abs().max()) > 1e-3


@pytest.mark.parametrize("adapters", ALL.values(), ids=ALL)
def test_parameters_and_their_part(adapters):
    answers = with_experts(AdaptedWeights(adapters))
    model = build(answers, device="meta")
    plain = build(with_experts(AdaptedWeights(())), device="meta")
    added = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in plain.parameters())
    assert added == sum(p.numel() for n, p in model.named_parameters() if part_of(n) == "experts")
    assert {n for n, _ in plain.named_parameters()} <= {n for n, _ in model.named_parameters()}


def test_plain_low_rank_pairs_hold_r_times_the_sum_of_widths():
    model = build(with_experts(AdaptedWeights((PLAIN,))), device="meta")
    d, inner, shared, ff = 29, 36, 12, 37
    each = (d + inner) + 2 * (d + shared) + (inner + d) + 3 * (d + ff)
    assert sum(p.numel() for p in model.part("experts")) == 3 * PLAIN.rank * each


def test_merged_equals_unmerged():
    model = model_with(AdaptedWeights((PLAIN, replace(PLAIN, sites=ATTENTION, rank=2))))
    inputs = seen(model)
    before = model(inputs)
    assert merge_adapters(model) == 3 * 7
    assert not model.part("experts")
    close(model(inputs), before, 1e-5)
    close(dense_of(model)(inputs), before, 1e-5)


@pytest.mark.parametrize("name", ["by group", "by prompt", "by task"])
def test_what_depends_on_the_row_is_not_merged(name):
    with pytest.raises(Misuse, match="depends on the"):
        merge_adapters(model_with(AdaptedWeights(ALL[name])))


def test_a_groups_pair_acts_on_its_own_rows_only():
    model = model_with(AdaptedWeights((GROUPS,)))
    inputs, layer = seen(model), model.decoder.stack.layers[0].self_attn.k_proj
    outputs = []
    layer.register_forward_hook(lambda m, given, out: outputs.append(out.detach()))
    model(inputs)
    with torch.no_grad():
        layer.experts[0].pairs[0].b.add_(1.0)
    model(inputs)
    changed = (outputs[0] != outputs[1]).any(-1)[0]
    assert changed.tolist() == [False] * 15 + [True] * 8, "media rows are stored first"


def test_a_batch_without_a_group_still_has_its_gradients():
    model = model_with(AdaptedWeights((GROUPS,)))
    model.loss(batch(model.answers, [(said(4, 1), said(2, 2, Role.ASSISTANT))])).backward()
    for name, parameter in model.named_parameters():
        if ".pairs.1." in name:
            assert parameter.grad is not None and not bool(parameter.grad.any())
        elif ".pairs.0." in name:
            assert bool(parameter.grad.any())


def gated(model):
    return [m for m in model.modules() if isinstance(m, SampleLowRank)]


def calls_of(model, inputs):
    """(module, rows, reading, delta) of every gated call of one pass."""
    calls = []
    for module in gated(model):
        module.register_forward_hook(
            lambda m, given, out: calls.append((m, given[0], given[1], out))
        )
    model(inputs)
    return calls


@pytest.mark.parametrize(
    "adapter", [PROMPT, replace(PROMPT, squared=True), TASK], ids=["prompt", "squared", "task"]
)
def test_gathered_experts_equal_all_of_them_weighed(adapter):
    model = model_with(AdaptedWeights((adapter,)))
    calls = calls_of(model, batch(model.answers, ragged()))
    assert len(calls) == 3 * 4
    for module, x, reading, delta in calls:
        close(delta, sample_low_rank_slowly(module, x, reading), 1e-5)


def test_gradients_of_gathered_experts_equal_those_of_all_weighed():
    model = model_with(AdaptedWeights((PROMPT,)))
    module, x, reading, _ = calls_of(model, batch(model.answers, ragged()))[0]
    found = []
    for way in (module, lambda *given: sample_low_rank_slowly(module, *given)):
        x = x.detach().requires_grad_()
        wanted = [x, module.a, module.b, module.shared.a, module.gate.routing.gate.weight]
        out = way(x, reading)
        found.append(torch.autograd.grad(out.square().sum(), wanted, retain_graph=True))
    for got, expected in zip(*found, strict=True):
        close(got, expected, 1e-5)


def test_all_rows_of_a_sample_share_one_expert_and_sites_share_gates():
    model = model_with(AdaptedWeights((PROMPT,)))
    choices = {}
    calls = calls_of(model, batch(model.answers, ragged()))
    for module, _, reading, _ in calls:
        expert, weight = module._gate[0](reading)
        assert expert.shape == weight.shape == (3, 1)
        choices.setdefault((reading.layer, id(module._gate[0])), []).append(weight)
    assert len(choices) == 3 * 2, "two gates a layer: the output's and the feed-forward's"
    gates = [n for n, _ in model.named_parameters() if "routing.gate.weight" in n]
    assert len(gates) == 6 and len([n for n in model.state_dict() if n in gates]) == 6


@pytest.mark.parametrize("adapter", [PROMPT, TASK], ids=["prompt", "task"])
def test_cached_steps_keep_the_prompts_choice(adapter):
    model = model_with(AdaptedWeights((adapter,)))
    inputs, cache = seen(model), GrowingCache()
    whole = model(inputs)
    first = model(cut(inputs, slice(0, ROWS - 2), media=True), cache=cache)
    steps = [
        model(cut(inputs, slice(at, at + 1), media=False), cache=cache)
        for at in (ROWS - 2, ROWS - 1)
    ]
    close(torch.cat([first, *steps], 1), whole, 1e-5)


def test_the_answer_does_not_choose():
    model = model_with(AdaptedWeights((PROMPT,)))
    one, other = (
        batch(model.answers, [(said(3, 1), Picture(1, 30, 50), said(2, words, Role.ASSISTANT))])
        for words in (8, 9)
    )
    rows = real(one) & (one.table.role != int(Role.ASSISTANT))
    assert torch.equal(model(one)[rows], model(other)[rows])


def test_the_prompts_embeddings_get_no_gradient_from_the_gate():
    model = model_with(AdaptedWeights((replace(PROMPT, penalties=(Variation(coefficient=1.0),)),)))
    penalties(model, batch(model.answers, ragged()))["variation"].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached and all(".gate." in name for name in reached)


def test_noise_moves_the_scores_while_training_only():
    model = model_with(AdaptedWeights((replace(PROMPT, noise=3.0),)))
    inputs = batch(model.answers, ragged())
    assert torch.equal(model(inputs), model(inputs))
    model.train()
    assert not torch.equal(model(inputs), model(inputs))


def test_a_sample_with_media_is_another_task():
    model = model_with(AdaptedWeights((TASK,)))
    module, _, reading, _ = calls_of(model, batch(model.answers, ragged()))[0]
    expert, _ = module._gate[0](reading)
    assert expert.flatten().tolist() == [1, 0, 1]


@pytest.mark.parametrize("adapters", ALL.values(), ids=ALL)
def test_idle_parameters_are_those_a_row_does_not_pass(adapters):
    answers = AdaptedWeights(adapters)
    host = with_experts(answers).host
    each = {"plain": 0, "by group": 2, "by prompt": 3 * 3, "by task": 3}
    for name, ranks in each.items():
        if ALL[name] == adapters:
            sites = adapters[0].sites
            sums = {Site.QUERY: 65, Site.OUTPUT: 65, Site.KEY: 41, Site.VALUE: 41}
            expected = 3 * ranks * sum(sums.get(site, 66) for site in sites)
            assert answers.idle(host, Modality.TEXT) == expected


def test_ranks_and_groups_must_pair():
    with pytest.raises(ValueError, match="3 ranks given for 2 row groups"):
        replace(GROUPS, ranks=(1, 2, 3))


def test_the_feed_forward_alone_may_be_adapted():
    model = model_with(AdaptedWeights((replace(PLAIN, sites=FEED_FORWARD),)))
    assert all(".mlp." in n for n, _ in model.named_parameters() if part_of(n) == "experts")
