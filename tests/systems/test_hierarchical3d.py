"""The card of 144 hierarchical3d: adapters that know utterances, beside a frozen host."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tests.experts.hosts import dense_of
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, cut, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.errors import Misuse
from chiasm.experts import Hierarchical
from chiasm.experts.adapted import AdaptedWeights, merge_adapters
from chiasm.experts.hierarchical import Utterances, utterances
from chiasm.spec.state_space import StateSpace
from chiasm.stream import Modality, Role

SLUG = "hierarchical3d"
SYSTEM = system_or_skip(SLUG)
law = pytest.mark.evidence(slug=SLUG, grade="lawful")
TALK = (
    said(2, 1),
    Picture(1, 30, 50),
    said(5, 2),
    Picture(2, 21, 17),
    said(3, 3),
    said(1, 4, Role.TAG),
    said(2, 5, Role.ASSISTANT),
)


def contextual_slowly(module: Utterances, z: torch.Tensor, table) -> torch.Tensor:
    """Sample by sample, utterance by utterance."""
    found = torch.zeros_like(z)
    for sample in range(len(z)):
        held: dict[tuple[int, int], list[int]] = {}
        for row in range(z.shape[1]):
            if table.valid[sample, row] and table.role[sample, row] != int(Role.ASSISTANT):
                name = int(table.segment[sample, row]), int(table.item[sample, row])
                held.setdefault(name, []).append(row)
        vectors = {}
        for name, rows in held.items():
            kinds: dict[bool, list[torch.Tensor]] = {True: [], False: []}
            for row in rows:
                shown = int(table.modality[sample, row]) != int(Modality.TEXT)
                kinds[shown].append(z[sample, row])
            none = torch.zeros(z.shape[-1])
            text, media = (
                torch.stack(kinds[k]).mean(0) if kinds[k] else none for k in (False, True)
            )
            vectors[name] = text + module.shown(media)
        heads = module.config.heads
        for name, rows in held.items():
            others = [v for other, v in vectors.items() if other[0] == name[0]]
            q = module.query(vectors[name]).unflatten(-1, (heads, -1))
            k, v = (
                f(torch.stack(others)).unflatten(-1, (heads, -1))
                for f in (module.key, module.value)
            )
            share = (torch.einsum("hw,uhw->hu", q, k) * q.shape[-1] ** -0.5).softmax(-1)
            c = module.out(torch.einsum("hu,uhw->hw", share, v).flatten())
            for row in rows:
                found[sample, row] = c
    return found


def adapters(model) -> list[Utterances]:
    return [m for m in model.modules() if isinstance(m, Utterances)]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@law
def test_what_utterances_hold_is_the_equation_in_values_and_gradients():
    answers = tiny(SLUG)
    model, inputs = fresh(answers), batch(answers, [*ragged(), TALK], side="left")
    module, table = adapters(model)[0], inputs.table
    z = torch.randn(*table.shape, module.config.hidden, requires_grad=True)
    weights = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    every = [z, *(p for n, p in module.named_parameters() if "down" not in n and "up" not in n)]
    found = []
    for made in (module.contextual(z, table), contextual_slowly(module, z, table)):
        found.append([made, *torch.autograd.grad((made * weights).sum(), every)])
    for one, same in zip(*found, strict=True):
        torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)


@law
def test_at_the_start_it_is_the_host():
    answers = tiny(SLUG)
    model, inputs = build(answers).eval(), batch(answers, ragged())
    held = real(inputs)
    assert torch.equal(model(inputs)[held], dense_of(model)(inputs)[held])


@law
def test_shuffled_words_leave_an_utterances_vector():
    answers = tiny(SLUG)
    model, inputs = fresh(answers), batch(answers, [TALK])
    module, table = adapters(model)[0], inputs.table
    number, _ = utterances(table)
    z = torch.randn(*table.shape, module.config.hidden)
    text = table.modality == int(Modality.TEXT)
    rows = ((number == 1) & text)[0].nonzero()[:, 0]
    shuffled = z.clone()
    shuffled[0, rows] = z[0, rows.flip(0)]
    close(module.contextual(shuffled, table), module.contextual(z, table), 1e-6)
    moved = z.clone()
    moved[0, rows[0]] += 1
    assert not torch.allclose(module.contextual(moved, table), module.contextual(z, table))


@law
def test_each_rows_utterance_is_its_item_and_answers_have_none():
    inputs = batch(tiny(SLUG), [TALK])
    number, count = utterances(inputs.table)
    media = (inputs.table.modality == int(Modality.IMAGE))[0]
    answer = (inputs.table.role == int(Role.ASSISTANT))[0]
    assert count == 3
    assert set(number[0, answer].tolist()) == {3}
    assert number[0, ~answer].tolist() == inputs.table.item[0, ~answer].tolist()
    assert set(number[0, media].tolist()) == {1, 2}


@law
def test_without_utterances_it_is_the_plain_adapter():
    answers = tiny(SLUG)
    model, inputs = fresh(answers), batch(answers, [*ragged(), TALK])
    (between,) = answers.experts.between
    plain = build(replace(answers, experts=AdaptedWeights((), (between.plain,)))).eval()
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    held = real(inputs)
    assert not torch.allclose(model(inputs)[held], plain(inputs)[held], atol=1e-3)
    with torch.no_grad():
        for module in adapters(model):
            module.out.weight.zero_()
    close(model(inputs)[held], plain(inputs)[held], 1e-6)


@law
def test_the_prompt_is_read_once_and_an_answer_step_by_step():
    answers = tiny(SLUG)
    model, inputs = fresh(answers), batch(answers, [TALK])
    rows, cache = inputs.ids.shape[1], GrowingCache()
    parts = [slice(0, rows - 2), slice(rows - 2, rows - 1), slice(rows - 1, rows)]
    got = torch.cat(
        [model(cut(inputs, part, media=part.start == 0), cache=cache) for part in parts], 1
    )
    close(got, model(inputs), 1e-4)


@law
def test_at_most_four_in_a_hundred_parameters_are_taught():
    model = on_meta(SYSTEM.at("paper"))
    taught = sum(p.numel() for p in model.part("experts"))
    each = 2 * 1024 * 256 + 256 + 1024 + 256**2 + 4 * 256 * 64
    assert taught == 12 * each == 7_879_680
    host = sum(p.numel() for p in model.part("decoder"))
    assert 0.03 < taught / host <= 0.04


@law
def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="divide it"):
        Hierarchical(hidden=8, heads=3, inner=8)
    with pytest.raises(Misuse, match="cannot be merged"):
        merge_adapters(fresh(tiny(SLUG)))
    between = Hierarchical(hidden=8, heads=2, inner=4)
    host = SimpleNamespace(mixer=StateSpace(heads=2, head_width=4, state=3))
    with pytest.raises(Misuse, match="no row ahead"):
        between.check(host)


@law
def test_what_one_utterance_shows_is_found_at_the_last_word_by_utterances_alone():
    """Media of the first utterance are of one of two kinds, which the row of the last word is asked
    for. No row attends to another here: only the adapter can bring it there.
    """
    answers, width = tiny(SLUG), 16
    table = batch(answers, [TALK] * 16).table
    number, _ = utterances(table)
    shown = (number == 1) & (table.modality == int(Modality.IMAGE))
    last = int((number[0] == 2).nonzero().max())
    host = replace(answers.host, width=width)
    kinds = torch.arange(16) % 2

    def rows(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        x = 0.3 * torch.randn(*table.shape, width, generator=generator)
        return x + torch.where(kinds == 0, 1.0, -1.0)[:, None, None] * shown.unsqueeze(-1)

    right = []
    config = Hierarchical(hidden=8, heads=2, inner=8)
    for adapter in (config, config.plain):
        torch.manual_seed(0)
        module, head = adapter.build(host), torch.nn.Linear(width, 2)
        reading = SimpleNamespace(table=table, cache=None, layer=0)
        adam = torch.optim.AdamW([*module.parameters(), *head.parameters()], lr=2e-2)
        for step in range(60):
            x = rows(step)
            adam.zero_grad()
            logits = head((x + module(x, reading, x))[:, last])
            torch.nn.functional.cross_entropy(logits, kinds).backward()
            adam.step()
        with torch.no_grad():
            x = rows(1000)
            found = head((x + module(x, reading, x))[:, last]).argmax(-1)
        right.append(float((found == kinds).float().mean()))
    assert right[0] > 0.9 and right[1] < 0.8
