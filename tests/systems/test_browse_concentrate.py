"""The card of 207 browse-concentrate; its Q-Former alone is tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close_gradients, fresh, gradients, ragged, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.lineages.hosts import VICUNA_7B
from chiasm.model import Model
from chiasm.spec import Scale
from chiasm.stream import Role

SLUG = "browse-concentrate"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

TAIL = (said(4, 2), said(1, 3, Role.TAG), said(3, 4, Role.ASSISTANT))
PAIR = (said(3, 1), Picture(1, 24, 40), Picture(2, 24, 40), *TAIL)
OTHER = (said(3, 1), Picture(1, 24, 40), Picture(3, 24, 40), *TAIL)


def without(answers):
    """The same model that does not browse: InstructBLIP's."""
    return replace(answers, connector=replace(answers.connector, browses=False))


def first_image(model: Model, sample) -> torch.Tensor:
    """The tokens of a sample's first image on their way into the sequence."""
    inputs = batch(tiny(SLUG), [sample])
    each = tiny(SLUG).connector.latents
    rows = (inputs.source >= 0) & (inputs.source < each)
    return model.stream(inputs).embeddings[rows]


def stored(model: Model, inputs) -> torch.Tensor:
    """What a browsing pass gives, kept as numbers (the paper's EX)."""
    return model._browse(inputs).clone()


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_with_a_zero_condition_it_is_the_model_without_browsing():
    """Bit for bit, from the first step, whatever the other weights are."""
    answers, inputs = tiny(SLUG), batch(tiny(SLUG), ragged())
    model = fresh(answers).requires_grad_(False)
    base = build(without(answers)).eval().requires_grad_(False)
    state = model.state_dict()
    base.load_state_dict({name: state[name] for name in base.state_dict()})
    assert float((model(inputs) - base(inputs)).abs().max()) > 1e-3
    new = build(answers).connector.condition
    assert not any(bool(p.any()) for p in new.parameters())
    model.connector.condition.load_state_dict(new.state_dict())
    assert torch.equal(model(inputs), base(inputs))


@lawful
def test_another_second_image_reaches_the_first_through_the_condition_alone():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    one, other = first_image(model, PAIR), first_image(model, OTHER)
    assert float((one - other).abs().max()) > 1e-3
    held = stored(model, batch(tiny(SLUG), [PAIR]))
    model._browse = lambda inputs: held
    assert torch.equal(first_image(model, PAIR), one)
    assert torch.equal(first_image(model, OTHER), one)


@lawful
def test_no_gradient_reaches_the_browsing_pass():
    """On the fly, every parameter's gradient is what it is with the condition stored."""
    one, other = fresh(tiny(SLUG)), fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), [*ragged(), PAIR])
    one.loss(inputs).backward()
    held = stored(other, inputs)
    assert not held.requires_grad
    other._browse = lambda inputs: held
    other.loss(inputs).backward()
    close_gradients(gradients(one), gradients(other), 1e-6)
    assert float(gradients(one)["connector.condition.weight"].abs().max()) > 1e-3


@lawful
def test_every_image_of_a_prompt_gets_the_same_condition():
    model, seen = fresh(tiny(SLUG)).requires_grad_(False), []
    model.connector.condition.register_forward_hook(lambda m, args, out: seen.append(out))
    inputs = batch(tiny(SLUG), [PAIR, (said(5, 9), Picture(4, 24, 40), *TAIL)])
    model.stream(inputs)
    [given] = seen
    first, second, third, _ = given
    assert torch.equal(first, second)
    assert float((first - third).abs().max()) > 1e-3


def turns(*answers: tuple[int, int], pictures: tuple[int, ...] = (1,)):
    """A dialogue: pictures stand in its first turns, answers are (length, seed)."""
    pieces = []
    for number, (length, seed) in enumerate(answers):
        shown = [Picture(p, 24, 40) for p in pictures[number : number + 1]]
        said_here = (said(2, 40 + number), *shown, said(2, 50 + number), said(1, 3, Role.TAG))
        said_here += (said(length, seed, Role.ASSISTANT),)
        pieces += [replace(piece, turn=number) for piece in said_here if piece not in shown]
        pieces[-3:-3] = [replace(picture, turn=number) for picture in shown]
    return tuple(pieces)


@lawful
@pytest.mark.parametrize("pictures", [(1,), (1, 2)])
def test_no_answer_of_a_dialogue_is_told_to_the_rows_before_it(pictures):
    """The taught rows of the first turn do not change with what is said after them."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    dialogues = [turns((3, 60), (2, seed), (2, 61), pictures=pictures) for seed in (62, 63)]
    dialogues += [turns((3, seed), (2, 62), (2, 61), pictures=pictures) for seed in (60, 64)]
    logits = []
    for dialogue in dialogues:
        inputs = batch(tiny(SLUG), [dialogue])
        table, out = inputs.table, model(inputs)[0]
        answer = (table.role[0] == int(Role.ASSISTANT)).nonzero().flatten()
        logits.append((out[: int(answer[0])], out[: int(answer[3])]))
    assert torch.equal(logits[0][1], logits[1][1])
    assert torch.equal(logits[2][0], logits[3][0])
    assert not torch.equal(logits[2][1], logits[3][1])


@lawful
@pytest.mark.parametrize("scale", ["nano", "tiny"])
def test_the_first_pass_is_billed_as_it_runs(scale):
    """Every multiply-add of the browsing pass, and of the whole prefill."""
    answers = SYSTEM.at("nano") if scale == "nano" else tiny(SLUG)
    text, size = 11, (53, 71)
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=text, image_size=size)
    bill = cost(answers, text=text, image_size=size)
    browsed = [line for line in bill.prefill if line.name.startswith("browse ")]
    assert sum(line.dense for line in browsed) == operator_macs(lambda: model._browse(inputs))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))


@lawful
def test_a_prompt_costs_about_twice_as_much():
    answers = SYSTEM.at(Scale.PAPER)
    ratio = cost(answers).prefill_flops_executed / cost(without(answers)).prefill_flops_executed
    assert ratio == pytest.approx(2.0, abs=0.01)
    assert cost(answers).decode_flops == cost(without(answers)).decode_flops


@lawful
@pytest.mark.parametrize(("width", "added"), [(4096, 3_146_496), (2048, 1_573_632)])
def test_the_condition_is_one_linear_map(width, added):
    """2048 is the width of the paper's smaller host."""
    answers = replace(SYSTEM.at(Scale.PAPER), host=replace(VICUNA_7B, width=width, depth=2))
    model, base = on_meta(answers), on_meta(without(answers))
    assert (
        count(model) - count(base) == added == count(model, "connector") - count(base, "connector")
    )
    assert answers.connector.latents == 32 and answers.connector.inner == 768
