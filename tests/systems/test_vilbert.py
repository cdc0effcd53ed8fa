"""The card of 222 vilbert. Regions and their boxes are tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import (
    Permuted,
    Watched,
    builds_and_learns,
    count,
    on_meta,
    system_or_skip,
)
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, shared_model, tiny

from chiasm.backbone import LockStep
from chiasm.connectors.regions import cells
from chiasm.model import Model
from chiasm.stream import Features, Inputs, Memory, Role, Stream

SLUG = "vilbert"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = [(said(3, 1), Picture(1, 30, 50), said(4, 2))]


def lock_step(model: Model) -> LockStep:
    assert isinstance(model.decoder, LockStep)
    return model.decoder


def closed() -> Model:
    """A model whose co-attention and product write nothing."""
    model = fresh(tiny(SLUG))
    decoder = lock_step(model)
    with torch.no_grad():
        for block in (*decoder.stack.before.values(), *decoder.tower.before.values()):
            block.output.weight.zero_()
            block.output.bias.zero_()
        decoder.after.output.weight.zero_()
    return model


def both(model: Model, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    text, regions = lock_step(model).both(model.stream(inputs))
    assert regions is not None
    return text, regions


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_with_closed_outputs_the_streams_are_independent():
    model = closed()
    one, other_image, other_text = (
        both(model, batch(tiny(SLUG), [(said(3, t), Picture(i, 30, 50), said(4, t + 1))]))
        for t, i in ((1, 1), (1, 2), (5, 1))
    )
    assert torch.equal(one[0], other_image[0]) and not torch.equal(one[1], other_image[1])
    assert torch.equal(one[1], other_text[1]) and not torch.equal(one[0], other_text[0])


@lawful
def test_open_streams_read_each_other():
    model = shared_model(SLUG)
    one, other_image, other_text = (
        both(model, batch(tiny(SLUG), [(said(3, t), Picture(i, 30, 50), said(4, t + 1))]))
        for t, i in ((1, 1), (1, 2), (5, 1))
    )
    assert (one[0] - other_image[0]).abs().max() > 1e-3
    assert (one[1] - other_text[1]).abs().max() > 1e-3


@lawful
def test_permuting_regions_with_their_boxes_leaves_text_unchanged():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), SAMPLE)
    before = model(inputs)
    assert inputs.images is not None
    features = model.encoder(inputs.images)
    boxes = cells(features.grid).flatten(0, 1)
    order = torch.arange(len(boxes)).flip(0)
    tokens = model.connector.regions(features.tokens[:, order], boxes[None, order]).embeddings
    stream = model.stream(inputs)
    assert stream.memory is not None and not torch.equal(tokens, stream.memory.tokens)
    moved = replace(stream, memory=Memory(tokens, stream.memory.table))
    close(model.scores(model.decoder(moved)), before, 1e-5)
    # Without their boxes they are other regions.
    model.encoder = Permuted(model.encoder, order)
    assert (model(inputs) - before).abs().max() > 1e-4


@lawful
def test_a_loss_on_text_reaches_the_regions():
    model = fresh(tiny(SLUG))
    model.encoder = watched = Watched(model.encoder)
    answered = [(*SAMPLE[0], said(1, 3, Role.TAG), said(2, 4, Role.ASSISTANT))]
    model.loss(batch(tiny(SLUG), answered)).backward()
    assert watched.tokens.grad is not None
    assert watched.tokens.grad.abs().amax(-1).min() > 0


@lawful
def test_the_tower_sees_the_prompt_and_no_answer():
    asked = (*SAMPLE[0], said(1, 3, Role.TAG))
    one, other = (
        both(shared_model(SLUG), batch(tiny(SLUG), [(*asked, said(2, s, Role.ASSISTANT))]))
        for s in (4, 5)
    )
    assert torch.equal(one[1], other[1])
    close(one[0][:, :-2], other[0][:, :-2], 1e-6)


@lawful
def test_both_directions_read_the_states_before_either_changes():
    """At the first link, each block's output follows from the two states that led up to it."""
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), SAMPLE)
    decoder, seen = lock_step(model), {}
    layer, place = decoder.links[0]
    hooks = [
        block.register_forward_hook(
            lambda _, given, made, name=name: seen.update({name: (given[0], given[1].memory, made)})
        )
        for name, block in (
            ("text", decoder.stack.before[str(layer)]),
            ("image", decoder.tower.before[str(place)]),
        )
    ]
    both(model, inputs)
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen["text"][1].tokens, seen["image"][0])
    assert torch.equal(seen["image"][1].tokens, seen["text"][0])
    assert not torch.equal(seen["text"][2], seen["text"][0])


@lawful
def test_a_sample_without_an_image_is_read_as_if_alone():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), ragged())
    alone = model(batch(tiny(SLUG), [ragged()[1]]))[0]
    close(model(inputs)[1][real(inputs)[1]], alone, 1e-5)
    assert isinstance(model.encoder(torch.zeros(1, 3, 24, 40)), Features)
    assert isinstance(model.stream(inputs), Stream)


@lawful
def test_the_published_sizes():
    """BERT-base beside six layers of 1024, and six co-attentions either way."""
    answers = SYSTEM.at("paper")
    assert (answers.host.width, answers.host.depth) == (768, 12)
    assert (answers.fusion.tower.width, answers.fusion.tower.depth) == (1024, 6)
    assert answers.fusion.links(answers.host) == tuple((6 + at, at) for at in range(6))
    assert count(on_meta(answers), "tower") == pytest.approx(37.8e6, rel=0.01)
