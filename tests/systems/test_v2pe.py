"""The card of 167 v2pe."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from PIL import Image
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny

from chiasm.cost import count as cost
from chiasm.cost.geometry import make_prompt
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import ChiasmError
from chiasm.positions import Fractional, Sequential
from chiasm.spec import geometry

SLUG = "v2pe"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDE = (1344, 1792)
"""Three by four tiles of 448 pixels, and the thumbnail."""


def stepping(fixed):
    """The tiny answers with one step outside of training."""
    return replace(tiny(SLUG), positions=Fractional(fixed=fixed))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_whole_steps_give_the_baselines_positions_and_logits():
    whole, plain = stepping(256), replace(tiny(SLUG), positions=Sequential())
    model, baseline = fresh(whole), fresh(plain)
    for side in ("left", "right"):
        ours, theirs = (batch(answers, ragged(), side=side) for answers in (whole, plain))
        held = real(ours)
        assert torch.equal(ours.table.position[held], theirs.table.position[held])
        close(model(ours)[held], baseline(theirs)[held], 1e-6)
    alone = batch(whole, [(said(3, 1), Picture(1, 30, 50), said(4, 2))])
    assert alone.table.position[0, :, 0].tolist() == list(range(alone.ids.shape[1]))


@lawful
def test_smaller_steps_change_the_logits():
    """So that equality above says something."""
    model, inputs = fresh(stepping(256)).requires_grad_(False), batch(stepping(256), ragged())
    fewer = batch(stepping(16), ragged())
    assert float((model(inputs) - model(fewer))[real(inputs)].abs().max()) > 1e-3


@lawful
@pytest.mark.parametrize(("step", "span"), [(256, 3328), (64, 832), (16, 208), (1, 13)])
def test_13_tiles_span_so_many_positions(step, span):
    answers = replace(SYSTEM.at("paper"), positions=Fractional(fixed=step))
    assert geometry(answers, WIDE).tokens_per_view == (256,) * 13
    table = make_prompt(answers, 5, None, WIDE).table
    media = table.modality[0] > 0
    position = table.position[0, :, 0]
    assert int(media.sum()) == 3328
    first, *_, last = position[media].tolist()
    assert first == step / 256 and last == span
    assert position[~media].tolist() == [0, *range(span + 1, span + 5)]
    counted = torch.arange(1, 3329).double() * step / 256
    assert torch.equal(position[media].double(), counted), "p + k d, k whole"


@lawful
@pytest.mark.parametrize("step", [1, 3, 64, 255])
def test_text_stands_at_whole_positions_after_every_picture(step):
    answers = stepping(step)
    for side in ("left", "right"):
        table = batch(answers, ragged(), side=side).table
        words = table.position[(table.modality == 0) & table.valid]
        assert torch.equal(words, words.round())
        for row in range(3):
            kept = table.valid[row]
            kinds, position = table.modality[row, kept].tolist(), table.position[row, kept, 0]
            for (kind, here), (after, there) in pairwise(zip(kinds, position, strict=True)):
                if after == 0:
                    assert there == here.ceil() + 1, (kind, after)


@lawful
def test_positions_are_float32_and_increase_where_bfloat16_would_collide():
    answers = replace(SYSTEM.at("paper"), positions=Fractional(fixed=1))
    position = make_prompt(answers, 9000, None, WIDE).table.position[0, :, 0]
    late = 8000 + position
    for numbers in (position, late):
        assert numbers.dtype == torch.float32 and bool((numbers.diff() > 0).all())
        assert bool((numbers.bfloat16().diff() == 0).any())
    model = fresh(stepping(1)).to(torch.bfloat16)
    inputs = batch(stepping(1), [(said(5, 1), Picture(1, 30, 50), said(2, 2))])
    assert inputs.to("cpu").table.position.dtype == torch.float32
    seen: list[torch.Tensor] = []
    rotary = model.decoder.stack.rotary
    rotary.register_forward_hook(lambda m, given, tables: seen.extend([given[0], tables.sin]))
    model(replace(inputs, images=inputs.images.bfloat16()))
    assert [tensor.dtype for tensor in seen] == [torch.float32] * 2
    media = inputs.table.modality[0] > 0
    turns = seen[1][0, media]
    assert len(turns.unique(dim=0)) == int(media.sum()), "every token turns by its own angle"


@lawful
def test_training_draws_and_answering_does_not():
    """The draw is torch's generator's, so that a seed, or a saved state, repeats it."""
    model, inputs = fresh(tiny(SLUG)).requires_grad_(False), batch(tiny(SLUG), ragged())
    assert model.loss(inputs) == model.loss(inputs)
    model.train()
    torch.manual_seed(3)
    drawn = [float(model.loss(inputs)) for _ in range(4)]
    state = torch.get_rng_state()
    more = float(model.loss(inputs))
    assert len({*drawn, more}) == 5
    torch.manual_seed(3)
    assert [float(model.loss(inputs)) for _ in range(4)] == drawn
    torch.set_rng_state(state)
    assert float(model.loss(inputs)) == more
    steps = SYSTEM.at("paper").positions.steps
    assert steps == tuple(2**power for power in range(9))


@lawful
def test_a_long_picture_fits_the_window_at_a_small_step():
    """The collator counts positions: 15 tokens at s = 256 are 15, at s = 16 one."""
    tokenizer = fit_tokenizer(["what is it? it is a circle"], 280)
    example = Example("long", (Image.new("RGB", (40, 24)),), (Turn("what is it?", "a circle"),))

    def collated(step, room):
        answers = stepping(step)
        answers = replace(answers, host=replace(answers.host, vocabulary=283, max_positions=room))
        return Collator(answers, NANO, tokenizer).batch([example], teach=True)

    tokens = geometry(tiny(SLUG), (24, 40)).placeholders
    rows = collated(256, 2048).ids.shape[1]
    assert collated(256, rows).table.position.max() == rows - 1
    few = rows - tokens + 1
    with pytest.raises(ChiasmError, match=f"long: {rows} positions are more than .* {few}"):
        collated(256, few)
    assert collated(16, few).ids.shape[1] == rows
    with pytest.raises(ChiasmError, match=f"long: {few} positions"):
        collated(16, few - 1)


@lawful
def test_the_published_sizes_and_an_unchanged_bill():
    """InternVL2-2B; other positions cost nothing more."""
    answers = SYSTEM.at("paper")
    model = on_meta(answers)
    assert count(model, "connector") == 2 * 4096 + 4096 * 2048 + 2048 + 2048**2 + 2048
    assert count(model, "decoder", "head") == 1_889_146_880
    plain = replace(answers, positions=Sequential())
    ours, theirs = (cost(one, name="", text=64) for one in (answers, plain))
    assert ours.prefill_flops == theirs.prefill_flops and ours.parameters == theirs.parameters
