"""The card of 157 zipper. The read and the loss by themselves are tested in `tests/fusion`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import (
    HOST,
    Picture,
    batch,
    close,
    fresh,
    host_of,
    ragged,
    real,
    said,
    shared_model,
    tiny,
)

from chiasm.assemble import build
from chiasm.backbone import LockStep
from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion
from chiasm.model import Model
from chiasm.spec import Answers, NoViews
from chiasm.stream import Inputs, Memory, Role, TokenTable
from chiasm.training.freezing import freeze

SLUG = "zipper"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
SAMPLE = (said(3, 1), Picture(1, 30, 50), said(4, 2), Picture(2, 24, 40), said(2, 3))
TEXTS = [(said(7, 1),), (said(3, 2),)]


def lock_step(model: Model) -> LockStep:
    assert isinstance(model.decoder, LockStep)
    return model.decoder


def closed(answers: Answers) -> Model:
    """A model whose gates are closed and whose input layers add nothing."""
    model = fresh(answers)
    decoder = lock_step(model)
    with torch.no_grad():
        for slot in (*decoder.stack.before.values(), *decoder.tower.before.values()):
            for name, parameter in slot.named_parameters():
                if name == "gate" or name.startswith("mlp.last."):
                    parameter.zero_()
    return model


def both(model: Model, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    words, codes = lock_step(model).both(model.stream(inputs))
    assert codes is not None
    return words, codes


def head(model: Model) -> torch.nn.Module:
    tower = lock_step(model).tower
    return tower.before[str(tower.depth)]


def unimodal_tower(model: Model) -> Model:
    """A language model of codes by itself, with the weights of the model's tower."""
    answers = model.answers
    alone = replace(
        answers,
        views=NoViews(),
        encoder=NoEncoder(),
        connector=NoConnector(),
        compression=NoCompression(),
        fusion=NoFusion(),
        host=replace(answers.fusion.tower, tied_head=False),
    )
    made, decoder = build(alone).eval(), lock_step(model)
    made.decoder.embed_tokens.load_state_dict(decoder.tower.before["0"].unimodal.state_dict())
    made.decoder.stack.layers.load_state_dict(decoder.tower.layers.state_dict())
    norm, scores = head(model).unimodal
    made.decoder.norm.load_state_dict(norm.state_dict())
    made.head.lm_head.load_state_dict(scores.state_dict())
    return made


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("samples", [[SAMPLE], ragged()], ids=["two pictures", "ragged"])
def test_closed_words_are_the_language_models(samples):
    model, inputs = closed(tiny(SLUG)), batch(tiny(SLUG), samples)
    assert torch.equal(model(inputs), host_of(model)(inputs))
    assert not torch.equal(fresh(tiny(SLUG))(inputs), model(inputs))


@lawful
def test_a_closed_tower_is_its_unimodal_model():
    model, inputs = closed(tiny(SLUG)), batch(tiny(SLUG), [SAMPLE])
    stream = model.stream(inputs)
    ids = stream.memory.tokens[..., 0].long()
    alone = Inputs(ids, TokenTable.text(inputs.memory.valid), torch.full_like(ids, -1))
    expected = unimodal_tower(model)(alone)
    close(head(model).scores(both(model, inputs)[1]), expected, 1e-6)
    opened = fresh(tiny(SLUG))
    assert (head(opened).scores(both(opened, inputs)[1]) - expected).abs().max() > 1e-3


@lawful
def test_taught_beside_frozen_words_text_alone_is_bit_equal():
    """Texts alone, and beside samples that see codes."""
    answers, (stage,) = tiny(SLUG), SYSTEM.at("paper").teaching.stages[1:]
    model = build(answers).train()
    freeze(model, stage.trained)
    mixed = batch(answers, [*TEXTS, SAMPLE])
    before = model(batch(answers, TEXTS)), model(mixed)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        model.loss(batch(answers, ragged())).backward()
        optimiser.step()
    assert torch.equal(model(batch(answers, TEXTS)), before[0])
    after = model(mixed)
    assert torch.equal(after[:2], before[1][:2])
    # What stands before the first picture is text alone as well; what follows it is not.
    assert torch.equal(after[2, :3], before[1][2, :3])
    assert (after[2, 3:] - before[1][2, 3:]).abs().max() > 1e-3
    assert "decoder" not in stage.trained and "head" not in stage.trained


@lawful
def test_a_later_code_changes_nothing_earlier():
    model, inputs = shared_model(SLUG), batch(tiny(SLUG), [SAMPLE])
    stream = model.stream(inputs)
    codes, table = stream.memory.tokens, stream.memory.table
    vocabulary = model.answers.fusion.tower.vocabulary
    for at in (int((table.item[0] == 2).nonzero()[0]), codes.shape[1] - 1):
        other = codes.clone()
        other[0, at] = (other[0, at] + 1) % vocabulary
        moved = replace(stream, memory=Memory(other, table))
        one, two = lock_step(model).both(stream), lock_step(model).both(moved)
        earlier = inputs.table.item[0] < 2
        assert torch.equal(one[0][0, earlier], two[0][0, earlier])
        assert (one[0][0, ~earlier] - two[0][0, ~earlier]).abs().max() > 1e-5
        close(one[1][:, :at], two[1][:, :at], 1e-6)
        assert (one[1][:, at] - two[1][:, at]).abs().max() > 1e-3


@lawful
def test_a_code_reads_the_words_before_its_item_alone():
    model = shared_model(SLUG)
    first = batch(tiny(SLUG), [SAMPLE]).memory.item[0] == 1

    def states(*texts: int) -> torch.Tensor:
        pieces = [said(n, seed) for n, seed in zip((3, 4, 2), texts, strict=True)]
        sample = (pieces[0], Picture(1, 30, 50), pieces[1], Picture(2, 24, 40), pieces[2])
        return both(model, batch(tiny(SLUG), [sample]))[1][0]

    given, later, between, before = (
        states(1, 2, 3),
        states(1, 2, 4),
        states(1, 5, 3),
        states(6, 2, 3),
    )
    assert torch.equal(given, later)
    assert torch.equal(given[first], between[first])
    assert (given[~first] - between[~first]).abs().max() > 1e-4
    assert (given[first] - before[first]).abs().max() > 1e-4


@lawful
@pytest.mark.parametrize(
    ("depth", "tower_depth", "every", "tower_every", "links"),
    [
        (7, 3, 3, 1, ((3, 1), (6, 2))),
        (3, 7, 1, 3, ((1, 3), (2, 6))),
        (5, 5, 2, 2, ((2, 2), (4, 4))),
        (5, 2, 2, 1, ((2, 1),)),
    ],
)
def test_towers_of_other_widths_and_depths_are_joined(
    depth, tower_depth, every, tower_every, links
):
    answers = tiny(SLUG)
    tower = replace(answers.fusion.tower, width=43, depth=tower_depth)
    fusion = replace(answers.fusion, tower=tower, every=every, tower_every=tower_every)
    answers = replace(answers, host=replace(HOST, depth=depth), fusion=fusion)
    assert fusion.links(answers.host) == links
    model, inputs = fresh(answers), batch(answers, ragged())
    words, codes = both(model, inputs)
    assert words.shape[-1] == HOST.width and codes.shape[-1] == 43
    model.loss(inputs).backward()
    assert all(bool((p.grad != 0).any()) for p in model.parameters())
    shut = closed(answers)
    assert torch.equal(shut(inputs), host_of(shut)(inputs))


def test_stacks_that_never_meet_are_refused():
    with pytest.raises(ValueError, match="never meet every 3 and 1"):
        replace(tiny(SLUG).fusion, every=3).links(HOST)


@lawful
def test_words_are_taught_by_the_objective_and_codes_beside_it():
    model = fresh(tiny(SLUG))
    taught = model.losses(batch(tiny(SLUG), ragged()))
    assert set(taught.auxiliary) == {"next code"}
    close(taught.total, taught.main + taught.auxiliary["next code"], 1e-6)
    texts = [(said(6, 5), said(1, 6, Role.TAG), said(3, 7, Role.ASSISTANT))]
    assert not model.losses(batch(tiny(SLUG), texts)).auxiliary


@lawful
def test_padding_on_either_side_changes_no_row():
    model, length = shared_model(SLUG), batch(tiny(SLUG), [SAMPLE]).ids.shape[1]
    alone = model(batch(tiny(SLUG), [SAMPLE]))
    for side in ("left", "right"):
        inputs = batch(tiny(SLUG), [SAMPLE], side=side, length=length + 5)
        close(model(inputs)[real(inputs)], alone[0], 1e-5)


@lawful
def test_the_published_arrangement():
    """Every fourth layer of one tower meets every third of the other; sizes are ours."""
    answers = SYSTEM.at("paper")
    assert answers.fusion.links(answers.host) == ((4, 3), (8, 6), (12, 9))
    model = on_meta(answers)
    assert count(model, "encoder", "connector") == 0
    assert count(model, "fusion") < 0.1 * count(model)
    assert count(model, "tower") > 1.5e8
