"""The card of 203 mblm: stages of patches against the equations, and what depends on what."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import count, on_meta, system_or_skip
from tests.tiny import HOST, Picture, batch, close, fresh, ragged, said, tiny
from torch import Tensor

from chiasm.assemble import build
from chiasm.backbone import GrowingCache, Hierarchy
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion, PatchesOfPatches
from chiasm.model import Model
from chiasm.spec import Answers, NoViews, Scale
from chiasm.spec.slots import Level
from chiasm.stream import Inputs, Role, Stream, TokenTable

SLUG = "mblm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
OUTER = replace(HOST, width=23, heads=3, kv_heads=1, head_width=4, depth=2, ff_width=19)
MIDDLE = replace(HOST, width=17, heads=2, kv_heads=2, head_width=6, depth=1, ff_width=13)
TWO, THREE = (Level(OUTER, 5),), (Level(OUTER, 3), Level(MIDDLE, 5))
stages = pytest.mark.parametrize("levels", [(), TWO, THREE], ids=["one", "two", "three"])


def answers(levels: tuple[Level, ...], chunk: int = 1000) -> Answers:
    return replace(tiny(SLUG), fusion=PatchesOfPatches(levels=levels, chunk=chunk))


def model(levels: tuple[Level, ...], chunk: int = 1000) -> Model:
    return fresh(answers(levels, chunk))


def text(count: int, seed: int = 1, batch_of: int = 1) -> Inputs:
    return batch(tiny(SLUG), [(said(count, seed + at),) for at in range(batch_of)])


def changed(inputs: Inputs, at: int) -> Inputs:
    ids = inputs.ids.clone()
    ids[:, at] = (ids[:, at] + 1) % 101
    return replace(inputs, ids=ids)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    for scale in (Scale.SMOL, Scale.PAPER):
        assert 3e8 < count(on_meta(SYSTEM.at(scale))) < 6e8
    learner, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    first = learner.loss(inputs)
    first.backward()
    optimiser.step()
    assert learner.loss(inputs).item() < first.item()


def slowly(decoder: Hierarchy, ids: Tensor, levels: tuple[Level, ...]) -> Tensor:
    """Hidden states of one sample's ids, patch by patch, as the equations say."""

    def level(at: int, ids: Tensor, told: Tensor) -> Tensor:
        """Rows that have read each id of a patch, told by the stage outside."""
        stage = decoder.stages[at - 1]
        handed = stage.down(told).view(levels[at - 1].covers, -1)
        if at == len(levels):
            rows = decoder.embed_tokens(ids) + handed
            return stack_alone(decoder.stack, torch.cat([decoder.start[None], rows]))[1:]
        inner = decoder.stages[at]
        parts = ids.view(-1, inner.ids)
        rows = torch.stack([embedded(inner, part) for part in parts]) + handed
        made = inner.norm(stack_alone(inner.stack, torch.cat([inner.start[None], rows])))
        return torch.cat([level(at + 1, part, made[n]) for n, part in enumerate(parts)])

    outer = decoder.stages[0]
    padded = torch.nn.functional.pad(ids, (0, -len(ids) % outer.ids)).view(-1, outer.ids)
    rows = torch.stack([outer.start, *(embedded(outer, part) for part in padded)])
    made = outer.norm(stack_alone(outer.stack, rows))
    hidden = torch.cat([level(1, part, made[n]) for n, part in enumerate(padded)])
    return decoder.norm(hidden[: len(ids)])


def embedded(stage: torch.nn.Module, ids: Tensor) -> Tensor:
    flat = torch.cat([stage.table.weight[i] for i in ids])
    return stage.row_norm(stage.flat(stage.flat_norm(flat)))


def stack_alone(stack: torch.nn.Module, rows: Tensor) -> Tensor:
    table = TokenTable.text(torch.ones(1, len(rows), dtype=torch.bool))
    return stack(Stream(rows[None], table))[0]


@lawful
@pytest.mark.parametrize("length", [1, 4, 15, 16, 31, 37])
@pytest.mark.parametrize("levels", [TWO, THREE], ids=["two", "three"])
def test_equals_the_equations_patch_by_patch(levels, length):
    built, inputs = model(levels), text(length)
    decoder = built.decoder
    assert isinstance(decoder, Hierarchy)
    close(built.hidden(inputs)[0], slowly(decoder, inputs.ids[0], levels), 1e-5)


@lawful
@stages
@pytest.mark.parametrize("at", [0, 1, 14, 15, 16, 30])
def test_a_byte_leaves_all_earlier_logits_equal(levels, at):
    built, inputs = model(levels), text(37)
    before, after = built(inputs)[0], built(changed(inputs, at))[0]
    assert torch.equal(before[:at], after[:at])
    reached = (before[at:] - after[at:]).abs().amax(1) > 0
    assert reached[0] and reached[-1]
    # A middle stage's start row is told nothing, so neither is the first inner patch behind it.
    assert reached.all() or len(levels) == 2


@lawful
def test_one_stage_is_the_plain_language_model_behind_a_start_row():
    single = model(())
    plain = build(
        replace(
            tiny(SLUG),
            fusion=NoFusion(),
            views=NoViews(),
            encoder=NoEncoder(),
            connector=NoConnector(),
        )
    )
    state = {name: value for name, value in single.state_dict().items() if "start" not in name}
    plain.load_state_dict(state)
    with torch.no_grad():
        plain.decoder.embed_tokens.weight[0] = single.decoder.start
    inputs = text(13)
    ids = inputs.ids.clamp(min=1)
    started = torch.cat([torch.zeros_like(ids[:, :1]), ids], 1)
    wanted = plain.eval().hidden(replace(text(14), ids=started))[:, 1:]
    close(single.hidden(replace(inputs, ids=ids)), wanted, 1e-5)


@lawful
@stages
def test_the_length_of_padding_changes_no_loss(levels):
    built = model(levels)
    samples = [(said(7, 1), said(1, 2, Role.TAG), said(3, 3, Role.ASSISTANT))]
    alone = built.loss(batch(tiny(SLUG), samples))
    for side in ("left", "right"):
        for length in (12, 29, 41):
            padded = batch(tiny(SLUG), samples, side=side, length=length)
            close(built.loss(padded), alone, 1e-5)


@lawful
@stages
@pytest.mark.parametrize("chunks", [(37,), (1, 1, 35), (15, 1, 14, 7), (16, 20, 1)])
def test_cached_calls_equal_one(levels, chunks):
    built, inputs = model(levels), text(37, batch_of=2)
    cache, at, found = GrowingCache(), 0, []
    for size in chunks:
        rows = slice(at, at + size)
        part = replace(
            inputs,
            ids=inputs.ids[:, rows],
            table=inputs.table.cut(rows),
            source=inputs.source[:, rows],
        )
        found.append(built.hidden(part, cache=cache))
        at += size
    close(torch.cat(found, 1), built.hidden(inputs), 1e-5)


@lawful
@pytest.mark.parametrize("levels", [TWO, THREE], ids=["two", "three"])
def test_chunks_change_neither_values_nor_gradients(levels):
    inputs = batch(tiny(SLUG), [(said(40, 1), said(5, 2, Role.ASSISTANT))])
    whole, cut = model(levels), model(levels, chunk=2)
    made = whole.loss(inputs), cut.loss(inputs)
    close(made[1], made[0], 1e-6)
    for loss in made:
        loss.backward()
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


@lawful
def test_pairs_of_every_stage():
    """(P_1 … P_i) P_i pairs at stage i, with one more row and column for every start row."""
    levels, host, length = THREE, tiny(SLUG).host, 4 * 15
    work = PatchesOfPatches(levels=levels).work(host, length, 0, 1)
    for at, level, p, sequences in ((0, OUTER, 4, 1), (1, MIDDLE, 3, 4)):
        lines = [w for w in work if w.name == f"stage {at} layer 0 attention"]
        pairs = sum(w.macs for w in lines) // (2 * level.heads * level.head_width)
        assert pairs == sequences * (p + 1) ** 2
        assert sequences * p * p == [16, 36][at]


@lawful
def test_pixels_are_bytes_of_the_stream():
    built = fresh(tiny(SLUG))
    one, other = (
        built(batch(tiny(SLUG), [(said(3, 1), Picture(n, 16, 16), said(4, 2))])) for n in (1, 2)
    )
    close(one[:, :3], other[:, :3], 1e-6)
    assert (one[:, -1] - other[:, -1]).abs().max() > 1e-4
    encoder = SYSTEM.at("nano").encoder.build()
    image = torch.arange(12.0).view(1, 2, 2, 3).permute(0, 3, 1, 2) * 20
    tokens = encoder(image).tokens
    assert tokens[0, :, 0].tolist() == [6.0 + 20 * at for at in range(12)]
