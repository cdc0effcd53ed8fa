"""The card of 073 aya-vision. Its logits are transformers' in `tests/hub`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import batch, close, fresh, host_of, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.connectors.shuffle import space_to_depth
from chiasm.errors import Misuse
from chiasm.merging import merge
from chiasm.model import part_of
from chiasm.spec import geometry
from chiasm.stream import Role

SLUG = "aya-vision"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_tile_becomes_a_quarter_of_its_tokens():
    planned = geometry(PAPER, (728, 1092))
    assert planned.tokens_per_view == (169,) * 7 == (26 * 26 // 4,) * 7
    assert [rows * columns for rows, columns in planned.grids] == [676] * 7


@lawful
def test_blocks_can_be_undone():
    tokens = torch.randn(2, 6 * 4, 5)
    blocks = space_to_depth(tokens, (6, 4), 2)
    assert blocks.shape == (2, 6, 20)
    for at, block in enumerate(blocks.unbind(1)):
        row, column = divmod(at, 2)
        own = tokens.view(2, 6, 4, 5)[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert torch.equal(block.sort(-1).values, own.flatten(1).sort(-1).values)


@lawful
def test_its_size_is_the_published_one():
    """8 billion: Command R7B, a tower of 400M and the projector."""
    total = sum(p.numel() for p in on_meta(PAPER).parameters())
    assert total / 1e9 == pytest.approx(8.6, abs=0.1)


def taught_and_text():
    """A model, and another language model of its host's sizes."""
    return fresh(tiny(SLUG)), host_of(fresh(tiny(SLUG), seed=5))


@lawful
def test_the_ends_are_the_two_models():
    taught, language = taught_and_text()
    inputs = batch(tiny(SLUG), ragged())
    text = batch(tiny(SLUG), ((said(5, 1), said(2, 2, Role.ASSISTANT)),))
    before, held = taught(inputs), real(inputs)
    assert merge(taught, language, 1.0) > 20
    assert torch.equal(taught(inputs), before)
    own = {n: p.clone() for n, p in taught.named_parameters() if part_of(n) != "decoder"}
    merge(taught, language, 0.0)
    assert torch.equal(taught(text), language(text))
    assert not torch.equal(taught(inputs)[held], before[held])
    for name, tensor in own.items():
        if part_of(name) in ("encoder", "connector"):
            assert torch.equal(taught.get_parameter(name), tensor)


@lawful
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_between_them_every_tensor_is_the_weighted_mean(share):
    taught, language = taught_and_text()
    before = {name: p.detach().clone() for name, p in taught.named_parameters()}
    merge(taught, language, share)
    for name, other in language.named_parameters():
        expected = share * before[name] + (1 - share) * other
        close(taught.get_parameter(name), expected, 1e-6)


@lawful
def test_a_model_merged_with_itself_is_itself():
    taught, _ = taught_and_text()
    before = {name: p.clone() for name, p in taught.named_parameters()}
    merge(taught, host_of(taught), 0.4)
    for name, parameter in taught.named_parameters():
        close(parameter, before[name], 1e-6)


def test_models_that_do_not_match_are_refused_before_anything_changes():
    taught, language = taught_and_text()
    before = {name: p.clone() for name, p in taught.named_parameters()}
    answers = language.answers
    wider = build(replace(answers, host=replace(answers.host, vocabulary=103)))
    with pytest.raises(Misuse, match="101x29 here and 103x29"):
        merge(taught, wider, 0.5)
    flat = build(replace(answers, host=replace(answers.host, depth=2)))
    with pytest.raises(Misuse, match="not what the model began as"):
        merge(taught, flat, 0.5)
    with pytest.raises(Misuse, match="from 0 to 1"):
        merge(taught, language, 1.5)
    assert all(torch.equal(p, before[name]) for name, p in taught.named_parameters())
