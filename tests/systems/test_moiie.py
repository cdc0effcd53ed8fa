"""The card of 188 moiie."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.systems.routing import decided, mixed_layers, upcycled
from tests.tiny import batch, close, fresh, ragged, real, tiny

from chiasm.cost import count
from chiasm.experts import SharedWeights, everyone
from chiasm.lineages.hosts import LLAMA_3_8B

SLUG = "moiie"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
VISION, SHARED, LANGUAGE = 0, (1, 2), 3


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_copied_experts_are_the_dense_model():
    dense, model = upcycled(tiny(SLUG))
    inputs = batch(tiny(SLUG), ragged())
    close(model(inputs)[real(inputs)], dense(inputs)[real(inputs)], 1e-5)


@lawful
@pytest.mark.parametrize(("host", "billions"), [(None, 5.5), (LLAMA_3_8B, 11.3)])
def test_active_parameters_are_the_published_ones(host, billions):
    answers = SYSTEM.at("paper")
    answers = answers if host is None else replace(answers, host=host)
    found = count(answers, name="moiie").parameters.active_visual
    assert found / 1e9 == pytest.approx(billions, rel=0.02)
    d, ff, half = answers.host.width, answers.host.ff_width, answers.host.depth // 2
    plain = on_meta(replace(answers, experts=SharedWeights()))
    dense = sum(p.numel() for p in plain.parameters())
    routers = half * 3 * d
    assert found == dense + half * 3 * d * ff + routers


@lawful
def test_no_modality_reaches_the_others_own_expert():
    for one in decided(fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())):
        group, expert = one.group[one.routes.row], one.routes.expert
        assert set(expert[group == 0].tolist()) == {*SHARED, LANGUAGE}
        assert set(expert[group == 1].tolist()) == {VISION, *SHARED}


@lawful
def test_shared_experts_learn_from_both_and_own_experts_from_their_own():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    modality = inputs.table.modality
    (last,) = mixed_layers(model)
    outputs = []
    last.register_forward_hook(lambda m, given, out: outputs.append(out))
    model(inputs)
    for rows, learns in ((modality > 0, {VISION, *SHARED}), (modality == 0, {*SHARED, LANGUAGE})):
        model.zero_grad()
        outputs[0][rows & inputs.table.valid].square().sum().backward(retain_graph=True)
        moved = {e for e in range(4) if bool(last.up_proj.weight.grad[e].any())}
        assert moved == learns


@lawful
def test_with_every_expert_open_it_is_a_vanilla_mixture():
    """The same scores, one router for all: what each expert does no longer tells modality."""
    answers = tiny(SLUG)
    router = replace(answers.experts.router, eligibility=everyone(4, groups=2), apart=False)
    open_to_all = replace(answers, experts=replace(answers.experts, router=router))
    model, inputs = fresh(open_to_all), batch(answers, ragged())
    kinds = replace(router, eligibility=everyone(4))
    vanilla = replace(
        open_to_all,
        experts=replace(open_to_all.experts, kinds=open_to_all.experts.kinds[:1], router=kinds),
    )
    plain = fresh(vanilla)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(inputs), plain(inputs))
    close(model.losses(inputs).total, plain.losses(inputs).total, 1e-6)


@lawful
def test_only_odd_layers_have_experts_and_two_balanced_routers():
    model = fresh(tiny(SLUG))
    assert [layer.mlp in mixed_layers(model) for layer in model.decoder.stack.layers] == [
        False,
        True,
        False,
    ]
    (mixed,) = mixed_layers(model)
    assert mixed.experts["router"].gate.weight.shape == (6, tiny(SLUG).host.width)
    with torch.no_grad():
        mixed.experts["router"].gate.weight.mul_(1e-6)
    uniform = model.losses(batch(tiny(SLUG), ragged())).auxiliary["balance"]
    assert uniform.item() == pytest.approx(2 * 1e-3 * 2, rel=1e-3), "two routers, f sums to two"
