"""The card of 026 awaker. Its gathered experts are held against all of them in `tests/experts`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import batch, close, cut, fresh, ragged, real, tiny

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.experts import SharedWeights
from chiasm.experts.lora import SampleLowRank

SLUG = "awaker"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_added_parameters_are_the_published_ones():
    model, host = on_meta(PAPER), PAPER.host
    sizes = {name: p.numel() for name, p in model.named_parameters() if ".experts." in name}
    gates = sum(size for name, size in sizes.items() if ".gate." in name)
    plain = sum(s for n, s in sizes.items() if any(f"{x}_proj.ex" in n for x in "qkv"))
    routed = sum(sizes.values()) - gates - plain
    assert plain / 1e9 == pytest.approx(0.110, abs=5e-4)
    assert routed / 1e9 == pytest.approx(2.679, abs=5e-4)
    assert (plain + routed) / 1e9 == pytest.approx(2.79, rel=1e-3)
    d, ff = host.width, host.ff_width
    assert routed == 28 * 5 * 256 * ((d + d) + 3 * (d + ff))
    assert gates == 28 * 2 * (4 * d + d), "a matrix and a norm, at the output and at the gate"


@lawful
def test_while_b_is_zero_the_logits_are_the_bases():
    model = build(tiny(SLUG)).eval()
    base = build(replace(tiny(SLUG), experts=SharedWeights()))
    state = model.state_dict()
    base.load_state_dict({name: state[name] for name in base.state_dict()})
    inputs = batch(tiny(SLUG), ragged())
    assert torch.equal(model(inputs), base.eval()(inputs))
    opened = fresh(tiny(SLUG))
    assert float((opened(inputs) - base(inputs)).detach().abs().max()) > 1e-2


def choices(model, inputs, cache=None):
    """(experts, weights) that every routed matrix obeyed, in order."""
    found, hooks = [], []
    for module in model.modules():
        if isinstance(module, SampleLowRank):
            hooks.append(
                module.register_forward_hook(
                    lambda m, given, out: found.append(m._gate[0](given[1]))
                )
            )
    model(inputs, cache=cache)
    for hook in hooks:
        hook.remove()
    return found


@lawful
def test_all_rows_of_a_sequence_share_one_expert():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    found = choices(model, inputs)
    assert len(found) == 3 * 4
    for expert, weight in found:
        assert expert.shape == weight.shape == (len(inputs.ids), 1)
        assert bool((weight > 0).all()) and bool((weight < 1).all())
    assert len({int(e) for expert, _ in found for e in expert}) > 1


@lawful
def test_gates_are_the_prompts_at_every_cached_step():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged(), side="left")
    rows, cache = inputs.ids.shape[1], GrowingCache()
    prompt = choices(model, cut(inputs, slice(0, rows - 2), media=True), cache)
    for at in (rows - 2, rows - 1):
        step = choices(model, cut(inputs, slice(at, at + 1), media=False), cache)
        for (expert, weight), (kept, same) in zip(prompt, step, strict=True):
            assert torch.equal(expert, kept) and torch.equal(weight, same)


@lawful
def test_the_released_square_of_the_weight_is_a_choice():
    plain, routed = tiny(SLUG).experts.adapters
    assert not routed.squared
    squared = replace(tiny(SLUG).experts, adapters=(plain, replace(routed, squared=True)))
    ours, theirs = fresh(tiny(SLUG)), fresh(replace(tiny(SLUG), experts=squared))
    inputs = batch(tiny(SLUG), ragged())
    rows = real(inputs)
    difference = (ours(inputs) - theirs(inputs))[rows].detach()
    assert float(difference.abs().max()) > 1e-4
    for one, other in zip(choices(ours, inputs), choices(theirs, inputs), strict=True):
        close(one[1], other[1], 1e-6)


@lawful
def test_questions_about_one_image_are_not_packed():
    """The gate reads the whole prompt, question included."""
    assert tiny(SLUG).experts.looks_ahead and not tiny(SLUG).shares_media
