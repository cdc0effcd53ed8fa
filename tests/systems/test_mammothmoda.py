"""The card of 158 mammothmoda."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.compression import PooledTokens
from chiasm.experts import SharedWeights
from chiasm.spec import Frames, geometry
from chiasm.stream import Features, Modality, Role
from chiasm.training.freezing import copy_own, freeze

SLUG = "mammothmoda"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")
TEXT_ONLY = ((said(5, 1), said(2, 2, Role.ASSISTANT)),)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_copied_experts_give_the_base_models_logits():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    state = model.state_dict()
    plain = build(replace(tiny(SLUG), experts=SharedWeights())).eval()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    held = real(inputs)
    assert float((model(inputs) - plain(inputs))[held].detach().abs().max()) > 1e-3
    copy_own(model)
    close(model(inputs)[held], plain(inputs)[held], 1e-5)


@lawful
def test_text_alone_is_unchanged_by_the_experts_stage():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    text = batch(tiny(SLUG), TEXT_ONLY)
    before, stage = model(text), PAPER.teaching.stages[1]
    assert stage.copies and "decoder" not in stage.trained
    copy_own(model)
    freeze(model, stage.trained)
    changed = model(inputs).detach()
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.loss(inputs).backward()
    adam.step()
    assert not torch.equal(model.eval()(inputs), changed)
    assert torch.equal(model(text), before)


@lawful
def test_experts_hold_four_matrices_a_layer():
    """q, k, v, o of 4096 x 4096 in 32 layers, of visual rows alone."""
    model = on_meta(PAPER)
    assert sum(p.numel() for p in model.part("experts")) == 32 * 4 * 4096**2
    assert PAPER.experts.idle(PAPER.host, Modality.TEXT) == 32 * 4 * 4096**2


def clip(frames):
    """The tiny system over clips of so many frames."""
    answers = tiny(SLUG)
    views = Frames(frames, 24, 40)
    return replace(answers, views=views)


@lawful
@pytest.mark.parametrize("frames", [1, 5, 16])
def test_a_frame_takes_one_position_however_many_tokens_it_has(frames):
    answers = clip(frames)
    inputs = batch(answers, [(said(3, 1), Picture(1, 160, 40), said(4, 2))])
    table = inputs.table
    media = table.modality[0] == int(Modality.IMAGE)
    each = geometry(answers, (160, 40)).placeholders // frames
    position = table.position[0, :, 0]
    assert position[media].tolist() == [3 + at for at in range(frames) for _ in range(each)]
    assert position[~media].tolist() == [0, 1, 2, *range(3 + frames, 7 + frames)]
    assert fresh(answers)(inputs).isfinite().all()


@lawful
def test_sixteen_frames_of_144_tokens_take_sixteen_positions():
    answers = replace(PAPER, views=Frames(16, 336, 336))
    assert geometry(answers, (640, 480)).rows_per_view == (144,) * 16


@lawful
def test_a_tile_of_336_pixels_becomes_144_tokens():
    planned = geometry(PAPER, (672, 672))
    assert planned.tokens_per_view == (576,) * 5 and planned.kept_per_view == (144,) * 5
    assert PAPER.compression == PooledTokens(frames=1, kept_frames=1, side=12)


@lawful
def test_the_mean_of_a_constant_map_is_its_value_and_commutes_with_the_projection():
    pool, projection = PAPER.compression.build(29), torch.nn.Linear(29, 31)
    value = torch.randn(29).expand(2, 576, 29)
    kept = pool.keep(Features(value, (24, 24))).tokens
    assert kept.shape == (2, 144, 29)
    close(kept, value[:, :144], 1e-6)
    tokens = torch.randn(2, 576, 29)
    behind = pool.keep(Features(projection(tokens), (24, 24))).tokens
    close(behind, projection(pool.keep(Features(tokens, (24, 24))).tokens), 1e-5)
