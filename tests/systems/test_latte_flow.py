"""LaTtE-Flow's own checks, in both forms: Couple, and Blend with some layers shared."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import count, on_meta, system_or_skip
from tests.systems.drawn import ASKED, flow_loss, noised, velocities
from tests.tiny import batch, close, drawing, fresh, host_of, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.decoding import Drawing, Prompts, draw
from chiasm.fusion import InSequence
from chiasm.layers import attention_map, waves
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.spec.override import override
from chiasm.training.freezing import freeze

SLUG = "latte-flow"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
builds = pytest.mark.evidence(slug=SLUG, grade="builds")
FORMS = {"couple": (), "blend": (1,)}
forms = pytest.mark.parametrize("form", FORMS)
TRAINED = ("experts", "fusion", "flow")


def deep(form: str, *, depth: int = 5, times: int = 2) -> Answers:
    """Layers 0 to 2 and 3 to 4 are the two groups."""
    answers = tiny(SLUG)
    experts = replace(answers.experts, times=times, shared=FORMS[form])
    fusion = replace(answers.fusion, times=times)
    return replace(answers, host=replace(answers.host, depth=depth), experts=experts, fusion=fusion)


def layer_calls(model: Model) -> list[tuple[int, int]]:
    """Filled as the model runs: (layer, rows) of every block that is called."""
    calls: list[tuple[int, int]] = []
    for layer, block in enumerate(model.decoder.stack.layers):
        block.register_forward_hook(
            lambda m, given, out, layer=layer: calls.append((layer, given[0].shape[1]))
        )
    return calls


@builds
def test_four_groups_of_seven_at_2b():
    answers = SYSTEM.at("paper")
    model = on_meta(answers)
    assert answers.host.depth // answers.experts.times == 7
    # Qwen2-VL-2B's text side: 1.54B with its embeddings, 1.31B in layers.
    assert 1.5e9 < count(model, "decoder") < 1.6e9
    assert 1.3e9 < count(model, "experts") < 1.32e9
    assert answers.head.latent.rows == 64


@lawful
@forms
def test_a_picture_takes_m_times_t_layer_calls(form):
    """Groups of 3 and 2 layers, 4 steps: 2 x 3 + 2 x 2 calls of latents, and 5 of the prompt."""
    model = fresh(deep(form))
    calls = layer_calls(model)
    latent = model.answers.head.latent.rows
    direction = model.answers.teaching.objective.flow.direction
    prompts = Prompts(full=batch(model.answers, [ASKED]))
    draw(model, prompts, direction, Drawing(steps=4))
    assert [call for call in calls if call[1] != latent] == [(at, 4) for at in range(5)]
    drawn = [layer for layer, rows in calls if rows == latent]
    assert drawn == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4]


@lawful
@forms
def test_equal_groups_take_exactly_l_over_k(form):
    model = fresh(deep(form, depth=6, times=3))
    calls = layer_calls(model)
    direction = model.answers.teaching.objective.flow.direction
    prompts = Prompts(full=batch(model.answers, [ASKED]))
    draw(model, prompts, direction, Drawing(steps=9))
    latent = model.answers.head.latent.rows
    assert sum(rows == latent for _, rows in calls) == 9 * 6 // 3


@lawful
@forms
@pytest.mark.parametrize(("time", "group"), [(0.2, (0, 1, 2)), (0.8, (3, 4))])
def test_other_groups_get_no_gradient(form, time, group):
    """Exactly none at the copies of every layer of another interval."""
    model = fresh(deep(form))
    freeze(model, TRAINED)
    flow_loss(model, noised(model.answers, [ASKED, *drawing()], time=time)).backward()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            continue
        layer = int(name.split(".")[3]) if name.startswith("decoder.stack.") else None
        held = parameter.grad is not None and bool(parameter.grad.any())
        assert held == (layer is None or layer in group), name


@lawful
@forms
def test_logits_of_text_stay_the_language_model_s_while_it_draws(form):
    """Bit for bit, prompts of pictures too, after steps of teaching."""
    model = fresh(deep(form))
    freeze(model, TRAINED)
    told = batch(model.answers, ragged())
    before = model(told)[real(told)]
    texts = batch(model.answers, [(said(6, 4),)])
    host = host_of(model)(texts)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        model.loss(batch(model.answers, drawing())).backward()
        optimiser.step()
    assert torch.equal(model(told)[real(told)], before)
    assert torch.equal(model(texts), host)


@lawful
@forms
def test_a_zero_gate_is_plain_attention(form):
    answers = deep(form)
    model = fresh(answers)
    for slot in model.decoder.stack.beside.values():
        if slot.gate is not None:
            torch.nn.init.zeros_(slot.gate.weight)
    plain = build(replace(answers, fusion=InSequence())).eval()
    held = model.state_dict()
    plain.load_state_dict({name: held[name] for name in plain.state_dict()})
    for time in (0.2, 0.8):
        made = noised(answers, [ASKED, *drawing()], time=time)
        assert torch.equal(velocities(model, made), velocities(plain, made))


@lawful
def test_gates_start_at_zero_and_groups_start_without_one():
    model = build(deep("couple"))
    gates = {int(at): slot.gate for at, slot in model.decoder.stack.beside.items()}
    assert [at for at, gate in sorted(gates.items()) if gate is not None] == [1, 2, 4]
    assert not any(bool(gate.weight.any()) for gate in gates.values() if gate is not None)


@lawful
def test_a_carried_map_reads_like_the_equation():
    """A'_l = A_l + tanh(W waves(t)) A'_(l-1), a gate a head, times the layer's own values."""
    model = fresh(deep("couple"))
    slots = model.decoder.stack.beside
    seen = {}
    for at in ("0", "1", "2"):
        slots[at].register_forward_hook(
            lambda m, given, out, at=at: seen.update({at: (*given, out)})
        )
    made = noised(model.answers, [ASKED], time=0.3)
    velocities(model, made)
    carried = torch.zeros(())
    for at in ("0", "1", "2"):
        inside, read, out = seen[at]
        latent = inside.reading.table.modality[0] == 6
        own = attention_map(inside.queries, inside.held.keys, inside.permission)
        expected = read.clone()
        if at != "0":
            gate = torch.tanh(slots[at].gate.weight @ waves(torch.tensor(0.3)))
            values = inside.held.values.repeat_interleave(3, 1)
            for head in range(6):
                more = gate[head] * (carried[0, head] @ values[0, head])
                expected[0, latent, 6 * head : 6 * head + 6] += more[latent]
            own = own + (gate.view(1, 6, 1, 1) * carried) * latent.view(1, 1, -1, 1)
            assert float((out - read).detach().abs().max()) > 1e-3
        close(out, expected, 1e-5)
        carried = own


@lawful
def test_blend_is_a_setting_of_couple():
    couple = SYSTEM.at("nano")
    blend = override(couple, ["experts.shared=(0, 2)"])
    assert blend.experts.shared == (0, 2)
    one, other = (count(on_meta(answers), "experts") for answers in (couple, blend))
    assert other < 0.6 * one


@lawful
def test_a_training_batch_runs_one_group():
    model = fresh(deep("couple"))
    calls = layer_calls(model)
    latent = model.answers.head.latent.rows
    met = set()
    for seed in range(8):
        torch.manual_seed(seed)
        calls.clear()
        model.loss(batch(model.answers, [ASKED]))
        met.add(tuple(layer for layer, rows in calls if rows > latent))
    assert met == {(0, 1, 2), (3, 4)}
