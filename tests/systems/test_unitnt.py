"""The card of 140 unitnt: words found in a picture, read beside it."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, said, tiny

from chiasm import data
from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.data.collate import Collator
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.spec.reading import Execution
from chiasm.stream import Inputs, Role

SLUG = "unitnt"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
ANSWERS = tiny(SLUG)
SAMPLE = (said(3, 1), Picture(1, 24, 40), said(4, 2), said(1, 3, Role.TAG))


def inputs(**changed) -> Inputs:
    """One question about one picture with three words, some of whose values are others."""
    made = batch(ANSWERS, [SAMPLE])
    return replace(made, spotted=replace(made.spotted, **changed))


@pytest.fixture(scope="module")
def model():
    return fresh(ANSWERS).requires_grad_(False)


def reads(model) -> list:
    return [*model.decoder.stack.between.values()]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_shut_gate_or_no_words_leave_the_base_models_logits():
    model, seen = fresh(ANSWERS).requires_grad_(False), inputs()
    base = model(replace(seen, spotted=None))
    assert float((model(seen) - base).abs().max()) > 1e-3
    nobody = torch.zeros_like(seen.spotted.valid)
    close(model(inputs(valid=nobody)), base, 1e-6)
    for one in reads(model):
        one.gate.zero_()
    close(model(seen), base, 1e-6)
    started = build(ANSWERS).eval()
    assert torch.equal(started(seen), started(replace(seen, spotted=None)))


@lawful
def test_the_read_of_words_is_one_softmax_over_them(model):
    """The last layer's, by hand; the picture's tokens have no part in it."""
    heard: list = []
    one = reads(model)[-1]
    hook = one.words.register_forward_hook(lambda m, given, out: heard.append((given, out)))
    model(inputs())
    hook.remove()
    (hidden, k, v, permission), out = heard[0]
    assert permission.dense.shape[-1] == k.shape[2] == 3
    q = one.words.to_q(one.words.norm(hidden))
    parts = []
    for head in range(ANSWERS.host.heads):
        at = slice(6 * head, 6 * head + 6)
        scores = q[..., at] @ k[:, head].transpose(1, 2) / 6**0.5
        parts.append(scores.softmax(-1) @ v[:, head])
    close(out, one.words.to_out(torch.cat(parts, -1)), 1e-5)


@lawful
def test_order_counts_by_places_in_line_alone():
    model, seen = fresh(ANSWERS).requires_grad_(False), inputs()
    order = torch.tensor([2, 0, 1])
    shuffled = inputs(ids=seen.spotted.ids[:, order], boxes=seen.spotted.boxes[:, order])
    assert float((model(shuffled) - model(seen)).abs().max()) > 1e-4
    model.decoder.prologue.places.weight[:] = model.decoder.prologue.places.weight[0]
    close(model(shuffled), model(seen), 1e-5)
    apart = inputs(ids=seen.spotted.ids[:, order])
    assert float((model(apart) - model(seen)).abs().max()) > 1e-4


@lawful
def test_another_word_on_the_same_pixels_changes_the_answer(model):
    seen = inputs()
    other = inputs(ids=(seen.spotted.ids + 11) % 101)
    assert torch.equal(other.images, seen.images)
    assert float((model(other)[:, -1] - model(seen)[:, -1]).abs().max()) > 1e-3
    close(model(seen, execution=Execution.MASKED), model(seen), 1e-5)


@lawful
def test_samples_without_words_are_taught_nothing_besides():
    model = fresh(ANSWERS).train()
    torch.manual_seed(3)
    taught = model.losses(batch(ANSWERS, ragged()))
    assert set(taught.auxiliary) == {"spotted_words", "answer_is_read"}
    plain = [sample for sample in ragged() if not any(isinstance(p, Picture) for p in sample)]
    assert not model.losses(batch(ANSWERS, plain)).auxiliary
    unknown = inputs(valid=torch.zeros(1, 3, dtype=torch.bool), answered=torch.tensor([-1.0]))
    labels = torch.full_like(unknown.ids, -100)
    labels[0, -1] = 5
    assert not model.losses(replace(unknown, labels=labels)).auxiliary


@lawful
def test_hidden_words_are_told_by_the_others_and_asked_of_the_table():
    prologue = fresh(ANSWERS).decoder.prologue
    made = batch(ANSWERS, [SAMPLE]).spotted
    hidden = torch.tensor([[True, False, True]])
    asked, there = torch.zeros(1, 0, 29), torch.zeros(1, 0, dtype=torch.bool)
    states = prologue.states(made, hidden, asked, there)
    same = replace(made, ids=torch.where(hidden, (made.ids + 3) % 101, made.ids))
    assert torch.equal(prologue.states(same, hidden, asked, there), states)
    loss = prologue._loss(states, made, hidden)
    scores = (states @ prologue.words.weight.T).log_softmax(-1)
    expected = -torch.stack([scores[0, at, made.ids[0, at]] for at in (0, 2)]).mean()
    close(loss, expected, 1e-5)
    assert prologue._loss(states, made, torch.zeros_like(hidden)) is None


@lawful
def test_whether_the_answer_is_read_is_asked_of_the_prompts_last_state():
    model = fresh(ANSWERS)
    sample = (*SAMPLE, said(2, 4, Role.ASSISTANT))
    made = batch(ANSWERS, [sample, sample], side="left", length=12)
    made = replace(made, spotted=replace(made.spotted, answered=torch.tensor([1.0, 0.0])))
    hidden = model.hidden(made)
    logit = model.decoder.epilogue.judge(hidden[:, -3]).squeeze(-1)
    expected = (
        torch.nn.functional.softplus(-logit[0]) + torch.nn.functional.softplus(logit[1])
    ) / 2
    close(model.losses(made).auxiliary["answer_is_read"], expected, 1e-5)


@lawful
def test_examples_bring_their_words():
    few = data.load("written-words", "test")[:3]
    texts = [spot.text for example in few for spot in example.spots[0]]
    tokenizer = fit_tokenizer([*texts, *(t.question for e in few for t in e.turns)], 300)
    made = Collator(SYSTEM.at("nano"), NANO, tokenizer).batch(few, teach=True).spotted
    lengths = [
        [len(tokenizer.encode(spot.text, add_special_tokens=False)) for spot in e.spots[0]]
        for e in few
    ]
    rows = [at for at, example in enumerate(few) for _ in example.turns]
    assert made.valid.sum(1).tolist() == [sum(lengths[at]) for at in rows]
    assert tokenizer.decode(made.ids[0][made.valid[0]]).replace(" ", "") == "".join(
        spot.text for spot in few[0].spots[0]
    )
    assert made.boxes[0, 0].tolist() == list(few[0].spots[0][0].box)
    assert made.item[made.valid].unique().tolist() == [1]
    asked = [turn for example in few for turn in example.turns]
    words = [{spot.text for spot in few[at].spots[0]} for at in rows]
    expected = [float(turn.answer in known) for turn, known in zip(asked, words, strict=True)]
    assert made.answered.tolist() == expected and 0 < sum(expected) < len(expected)
    assert Collator(SYSTEM.at("nano"), NANO, tokenizer).batch(few, teach=False).spotted is not None
    blind = Collator(tiny("llava-1.5"), NANO, tokenizer).batch(few, teach=True)
    assert blind.spotted is None


@lawful
def test_published_sizes():
    """BERT-base with two reads in every layer, a BERT-base of words, and the classifier."""
    model = on_meta(SYSTEM.at("paper"))
    read = 2 * 768 + 4 * 768**2
    layer = 12 * 768**2 + 13 * 768
    tables = (30_522 + 4 * 1000 + 512 + 2) * 768
    words = tables + (768 + 1) * 768 + 12 * layer + 2 * 768 + (768 + 1) * 768
    assert count(model, "fusion") == 12 * (2 * read + 1) + words + 769


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
