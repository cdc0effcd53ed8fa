"""The cards of 020 adalink, 107 mks2, 127 pill and 194 textharmony: hosts that stay as they are."""

from dataclasses import replace

import pytest
import torch
from tests.experts.hosts import dense_of
from tests.systems.card import builds_and_learns, on_meta
from tests.tiny import Picture, batch, close, drawing, fresh, ragged, real, said, tiny

from chiasm.adapting import banked
from chiasm.assemble import build
from chiasm.experts.lora import SampleLowRank, sample_low_rank_slowly
from chiasm.experts.visual_memory import RememberingFeedForward
from chiasm.fusion import InSequence
from chiasm.model import part_of
from chiasm.spec import registered
from chiasm.stream import MEDIA, TEXT, Modality, Role
from chiasm.training.freezing import freeze

SLUGS = ("adalink", "mks2", "pill", "textharmony")
TEXT_ONLY = ((said(5, 1), said(2, 2, Role.ASSISTANT)),)

if missing := set(SLUGS) - set(registered()):
    pytest.skip(f"{missing.pop()} is not installed", allow_module_level=True)


def law(slug):
    return pytest.mark.evidence(slug=slug, grade="lawful")


@pytest.mark.parametrize(
    "slug",
    [pytest.param(s, marks=pytest.mark.evidence(slug=s, grade="builds")) for s in SLUGS],
)
def test_builds_at_three_scales_and_learns(slug):
    builds_and_learns(registered()[slug])


def hooked(module, run, *, given=False):
    """What modules of one kind gave (or were given) in a run."""
    found = []
    handle = module.register_forward_hook(
        lambda m, rows, out: found.append((rows[0] if given else out).detach())
    )
    run()
    handle.remove()
    return found


# AdaLink


def unlinked(model):
    """The base of a linked model, with its own weights."""
    plain, state = build(replace(model.answers, fusion=InSequence())), model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval()


@law("adalink")
def test_adalink_is_the_base_at_the_start():
    model, inputs = build(tiny("adalink")).eval(), batch(tiny("adalink"), ragged())
    assert torch.equal(model(inputs), unlinked(model)(inputs))


@law("adalink")
def test_adalink_holds_two_d_r_a_modality():
    model = on_meta(registered()["adalink"].at("paper"))
    assert sum(p.numel() for p in model.part("fusion")) == 2 * (2 * 4096 * 64) == 1_048_576
    [stage] = registered()["adalink"].at("paper").teaching.stages
    assert stage.trained == ("fusion",)


@law("adalink")
def test_the_adapter_of_words_leaves_pictures_rows():
    model, inputs = fresh(tiny("adalink")), batch(tiny("adalink"), ragged())
    pairs, first = model.decoder.stack.before["0"], model.decoder.stack.layers[0]
    [before] = hooked(first, lambda: model(inputs), given=True)
    with torch.no_grad():
        pairs.b[0] += 1.0
    [after] = hooked(first, lambda: model(inputs), given=True)
    media, words = (rows.select(inputs.table) & inputs.table.valid for rows in (MEDIA, TEXT))
    assert torch.equal(before[media], after[media])
    assert bool((before[words] != after[words]).any(-1).all())


@law("adalink")
def test_a_batch_of_mixed_tasks_equals_each_task():
    tasks = [fresh(tiny("adalink"))]
    for seed in (1, 2):
        task = build(tiny("adalink")).eval()
        task.load_state_dict(tasks[0].state_dict())
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in task.part("fusion"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        tasks.append(task)
    inputs = replace(batch(tiny("adalink"), ragged()), adapter=torch.tensor([2, 0, 1]))
    together, held = banked(tasks)(inputs), real(inputs)
    for sample, task in enumerate((2, 0, 1)):
        own = tasks[task](inputs)
        close(own[sample][held[sample]], together[sample][held[sample]], 1e-5)


@law("adalink")
def test_no_weight_of_the_base_moves():
    model, inputs = build(tiny("adalink")).train(), batch(tiny("adalink"), ragged())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freeze(model, ("fusion",))
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.loss(inputs).backward()
    optimiser.step()
    moved = {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved == {"decoder.stack.before.0.b"}, "A has no gradient while B is zero"


# PILL


@law("pill")
def test_pill_holds_the_published_parameters():
    model = on_meta(registered()["pill"].at("paper"))
    assert sum(p.numel() for p in model.part("experts")) == 32 * (9 * 4096 * 32 + 4096 * 32)
    assert sum(p.numel() for p in model.part("experts")) == 41_943_040
    assert sum(p.numel() for p in model.part("connector")) == 768 * 4096 + 4096 == 3_149_824


@law("pill")
def test_at_the_start_nothing_is_read_of_a_pictures_values():
    """Text alone is the host's own; a picture's values are zero in every layer."""
    answers = tiny("pill")
    model, text = build(answers).eval(), batch(answers, TEXT_ONLY)
    plain = dense_of(model)
    close(model(text), plain(text), 1e-6)
    inputs = batch(answers, [(said(3, 1), Picture(1, 30, 50), said(4, 2))])
    media = int((inputs.table.modality == int(Modality.IMAGE)).sum())
    for layer in model.decoder.stack.layers:
        [values] = hooked(layer.self_attn.v_proj, lambda: model(inputs))
        zero = (values == 0).all(-1)[0]
        assert int(zero.sum()) == media, "rows are stored by group"
    opened = fresh(answers)
    [values] = hooked(opened.decoder.stack.layers[0].self_attn.v_proj, lambda: opened(inputs))
    assert not bool((values == 0).all(-1).any())


@law("pill")
def test_a_head_of_values_is_multiplied_by_its_gate():
    answers = tiny("pill")
    model, inputs = fresh(answers), batch(answers, ragged())
    projection = model.decoder.stack.layers[1].self_attn.v_proj
    [x] = hooked(projection, lambda: model(inputs), given=True)
    [values] = hooked(projection, lambda: model(inputs))
    plain = torch.nn.functional.linear(x, projection.weight, projection.bias)
    gate = torch.nn.functional.linear(x, projection.experts[0].gate.weight).tanh()
    gated = (plain.unflatten(-1, (gate.shape[-1], -1)) * gate.unsqueeze(-1)).flatten(-2)
    own = (values - plain).abs().amax(-1) < 1e-5
    other = (values - gated).abs().amax(-1) < 1e-5
    assert bool((own ^ other).all()) and bool(own.any()) and bool(other.any())


@law("pill")
def test_pictures_adapters_leave_text_rows_of_that_feed_forward():
    answers = tiny("pill")
    model = fresh(answers)
    inputs = batch(answers, [(said(3, 1), Picture(1, 30, 50), said(4, 2))])
    last = model.decoder.stack.layers[-1]
    apart = last.post_attention_layernorm.experts[0]
    [before] = hooked(last.mlp, lambda: model(inputs))
    with torch.no_grad():
        for parameter in apart.own[1].parameters():
            parameter.add_(1.0)
    [after] = hooked(last.mlp, lambda: model(inputs))
    changed = (before != after).any(-1)[0]
    assert int(changed.sum()) == int((inputs.table.modality == int(Modality.IMAGE)).sum())


# MKS2


def memories(model):
    return [m for m in model.modules() if isinstance(m, RememberingFeedForward)]


@law("mks2")
def test_a_gate_that_trusts_the_host_gives_the_hosts_logits():
    model, inputs = build(tiny("mks2")).eval(), batch(tiny("mks2"), ragged())
    assert len(memories(model)) == 3
    held = real(inputs)
    assert float((model(inputs) - dense_of(model)(inputs))[held].detach().abs().max()) > 1e-4
    with torch.no_grad():
        for memory in memories(model):
            memory.experts["gate"].bias[1] = 200.0
    close(model(inputs)[held], dense_of(model)(inputs)[held], 1e-6)


@law("mks2")
def test_the_first_stage_leaves_the_host_and_gates_learn_from_text_alone():
    model = fresh(tiny("mks2")).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freeze(model, registered()["mks2"].at("paper").teaching.stages[0].trained)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    text = batch(tiny("mks2"), TEXT_ONLY)
    model.loss(text).backward()
    for memory in memories(model):
        assert bool(memory.experts["gate"].weight.grad.any())
        assert bool(memory.experts["memory"][0].weight.grad.any())
        shares = memory.shares(torch.randn(2, 3, 29))
        close(shares.sum(-1), torch.ones(2, 3), 1e-6)
    optimiser.step()
    moved = {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved and {part_of(name) for name in moved} == {"experts"}


@law("mks2")
def test_a_memory_has_a_quarter_of_the_width():
    paper = registered()["mks2"].at("paper")
    model, d, ff = on_meta(paper), 5120, 13_824
    memory = 2 * d * d // 4 + d // 4 + d + 2 * d + 2
    lora = 16 * (4 * 2 * d + 3 * (d + ff))
    assert sum(p.numel() for p in model.part("experts")) == 40 * (memory + lora)


# TextHarmony


@law("textharmony")
def test_the_language_models_pairs_hold_the_published_parameters():
    model = on_meta(registered()["textharmony"].at("paper"))
    pairs = [p.numel() for n, p in model.decoder.named_parameters() if ".experts." in n]
    assert sum(pairs) == 40 * 4 * 3 * 32 * (5120 + 5120) == 157_286_400
    host = sum(p.numel() for p in model.part("decoder"))
    assert sum(pairs) / host == pytest.approx(0.012, abs=0.001)


@law("textharmony")
def test_while_every_b_is_zero_the_logits_are_the_bases():
    model, inputs = build(tiny("textharmony")).eval(), batch(tiny("textharmony"), ragged())
    assert torch.equal(model(inputs), dense_of(model)(inputs))
    opened = fresh(tiny("textharmony"))
    held = real(inputs)
    apart = opened(inputs)[held] - dense_of(opened)(inputs)[held]
    assert float(apart.detach().abs().max()) > 1e-3


@law("textharmony")
def test_a_drawing_gives_the_pair_for_writing_no_gradient():
    model = fresh(tiny("textharmony"))
    torch.manual_seed(0)
    model.loss(batch(tiny("textharmony"), drawing())).backward()
    modules = [m for m in model.modules() if isinstance(m, SampleLowRank)]
    assert len(modules) == 3 * 4
    for module in modules:
        writing, drawn = (module.b.grad[at] for at in (0, 1))
        assert not bool(writing.any()) and bool(drawn.any()) and bool(module.shared.b.grad.any())


@law("textharmony")
def test_passed_pairs_equal_all_of_them_weighed_at_two_thirds():
    answers = tiny("textharmony")
    model, calls = fresh(answers), []
    modules = [m for m in model.modules() if isinstance(m, SampleLowRank)]
    for module in modules:
        module.register_forward_hook(lambda m, given, out: calls.append((m, *given[:2], out)))
    model(batch(answers, ragged()))
    assert len(calls) == len(modules)
    for module, x, reading, delta in calls:
        _, weight = module._gate[0](reading)
        assert weight.unique().tolist() == [0.5]
        close(delta, sample_low_rank_slowly(module, x, reading), 1e-5)
    [pairs] = answers.experts.adapters
    one = pairs.rank * (29 + 36)
    assert pairs.macs(29, 36, Modality.TEXT) == 2 * one
    assert pairs.idle(29, 36, Modality.TEXT) == one


@law("textharmony")
def test_a_tasks_two_pairs_merge_into_one_matrix():
    answers = tiny("textharmony")
    model, inputs = fresh(answers), batch(answers, ragged())
    plain = dense_of(model)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, SampleLowRank):
                own = module.scale * module.b[0] @ module.a[0]
                layer = plain.get_submodule(name.rpartition(".experts")[0])
                layer.weight += 0.5 * own + 0.5 * module.shared.merge()
    held = real(inputs)
    close(model(inputs)[held], plain(inputs)[held], 1e-5)
