"""The card of 096 b2t2: what is added to a word is of the box that it names."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, reading_of, said, tiny

from chiasm.fusion.added_boxes import AddBoxes, AddedBoxes
from chiasm.spec import geometry
from chiasm.spec.reading import Reading
from chiasm.stream import Memory, Permission, TokenTable

SLUG = "b2t2"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDTH, FEATURES = 13, 11
BOXES = torch.tensor([1, 1, 2, 2, 3, 3])
"""Which box each token of the memory is of."""


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def made() -> AddBoxes:
    torch.manual_seed(0)
    adds = AddBoxes(AddedBoxes(boxes=6, initial_std=0.5), WIDTH, FEATURES)
    torch.nn.init.normal_(adds.join.bias)
    return adds


def reading(names: list[int], tokens: torch.Tensor) -> Reading:
    """Words that name boxes (0: none) beside two tokens of each of three boxes."""
    table = TokenTable.text(torch.ones(1, len(names), dtype=torch.bool))
    table = replace(table, unit=torch.tensor([names]))
    memory = TokenTable.text(torch.ones(1, len(BOXES), dtype=torch.bool))
    mask = table.unit.unsqueeze(2) == BOXES
    return reading_of(table, memory=Memory(tokens, memory), permission=Permission(dense=mask))


@lawful
def test_each_word_adds_the_vector_of_the_box_that_it_names():
    adds, tokens, names = made(), torch.randn(1, 6, FEATURES), [0, 2, 0, 1, 2]
    hidden = torch.randn(1, 5, WIDTH)
    found = adds(hidden, reading(names, tokens))
    for row, name in enumerate(names):
        box = tokens[0, name == BOXES].mean(0) + adds.codes.weight[name]
        joined = adds.join(box) if name else adds.join.bias
        close(found[0, row], hidden[0, row] + joined.tanh(), 1e-5)


@lawful
def test_naming_another_box_changes_exactly_that_word():
    adds, tokens = made(), torch.randn(1, 6, FEATURES)
    hidden = torch.randn(1, 5, WIDTH)
    one, other = (adds(hidden, reading([0, name, 0, 0, 3], tokens)) for name in (1, 2))
    changed = (one != other).any(-1)[0].tolist()
    assert changed == [False, True, False, False, False]


@lawful
def test_a_box_that_no_word_names_gets_no_gradient():
    adds, tokens = made(), torch.randn(1, 6, FEATURES, requires_grad=True)
    adds(torch.randn(1, 3, WIDTH), reading([1, 0, 3], tokens)).sum().backward()
    received = tokens.grad.abs().sum(-1)[0] > 0
    assert received.tolist() == [True, True, False, False, True, True]


@lawful
def test_with_a_map_of_zeros_it_is_the_host_alone():
    sample = [(said(2, 1), Picture(1, 24, 40), said(4, 2))]
    model = fresh(tiny(SLUG))
    with torch.no_grad():
        for parameter in model.decoder.stack.before["0"].join.parameters():
            parameter.zero_()
    inputs = batch(tiny(SLUG), sample)
    blind = replace(inputs, images=None, owners=None, memory=None)
    close(model(inputs), model(blind), 1e-6)


@lawful
def test_boxes_take_no_row():
    answers = SYSTEM.at("paper")
    for size in ((480, 640), (224, 224), (600, 300)):
        plan = geometry(answers, size)
        assert plan.placeholders == 0
        assert len(plan.views) <= 4 + 1


@lawful
def test_published_sizes():
    """BERT-large, and a map of the box's vector to its width."""
    model = on_meta(SYSTEM.at("paper"))
    assert 333e6 < count(model, "decoder") < 336e6
    assert count(model, "fusion") == 1280 * 1024 + 1024 + 6 * 1280
