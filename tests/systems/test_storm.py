"""The card of 021 storm; its projector alone is tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import Watched, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny
from torch import Tensor

from chiasm.assemble import build
from chiasm.connectors import MLP, TemporalScan
from chiasm.cost import count as cost
from chiasm.encoders import FrameStack
from chiasm.spec import Answers, Fixed, geometry
from chiasm.spec.state_space import StateSpace

SLUG = "storm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
MIXER = StateSpace(heads=3, head_width=5, state=7, chunk=11)
FRAMES = 5


def clip(**changed) -> Answers:
    """The tiny answers on clips of five frames of 3 x 5 tokens."""
    answers = tiny(SLUG)
    connector = TemporalScan(mixer=MIXER, frames=FRAMES, **changed)
    encoder = FrameStack(each=answers.encoder, frames=FRAMES)
    return replace(answers, views=Fixed(FRAMES * 24, 40), encoder=encoder, connector=connector)


SAMPLE = (said(2, 1), Picture(1, FRAMES * 24, 40), said(3, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    for scale in ("smol", "paper"):
        assert count(on_meta(SYSTEM.at(scale))) > 10**8
    for answers in (SYSTEM.at("nano"), clip()):
        model, inputs = build(answers).train(), batch(answers, ragged())
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        first = model.loss(inputs)
        first.backward()
        optimiser.step()
        assert model.loss(inputs).item() < first.item()


@lawful
@pytest.mark.parametrize("answers", [tiny(SLUG), clip()], ids=["picture", "clip"])
def test_a_fresh_model_is_the_model_of_an_mlp_bit_for_bit(answers):
    model = build(answers).eval()
    baseline = build(replace(answers, connector=MLP())).eval()
    state = model.state_dict()
    names = {n: n.replace("connector.", "connector.mlp.") for n in baseline.state_dict()}
    baseline.load_state_dict({n: state[mine] for n, mine in names.items()})
    inputs = batch(answers, ragged())
    assert torch.equal(model(inputs), baseline(inputs))


def reads(answers: Answers, row: int) -> Tensor:
    """How much each frame moves one row of the image's tokens."""
    model = fresh(answers).requires_grad_(False)
    watched = Watched(model.encoder)
    model.encoder = watched
    inputs = batch(answers, [SAMPLE])
    model.stream(inputs).embeddings[0, 2 + row].sum().backward()
    frames = watched.tokens.grad[0].unflatten(0, (FRAMES, -1))
    return frames.abs().amax((1, 2))


@lawful
def test_a_kept_frame_depends_on_dropped_frames_and_the_mlps_does_not():
    """Every second frame is kept: the second kept one is frame 2."""
    kept = reads(clip(sample=2), 15 + 4)
    assert bool((kept > 1e-6).all())
    alone = reads(replace(clip(), connector=MLP()), 2 * 15 + 4)
    assert alone[2] > 1e-6 and alone[[0, 1, 3, 4]].max() == 0


@lawful
def test_sampling_at_test_time_needs_no_other_weights():
    model, sampled = fresh(clip()), build(clip(sample=2)).eval()
    sampled.load_state_dict(model.state_dict())
    whole = model.stream(batch(clip(), [SAMPLE])).embeddings
    got = sampled.stream(batch(clip(sample=2), [SAMPLE])).embeddings
    frames = whole[:, 2:-3].unflatten(1, (FRAMES, 15))
    close(got[:, 2:-3], frames[:, ::2].flatten(1, 2), 1e-6)


@lawful
def test_pooling_leaves_a_sixteenth_of_the_tokens():
    answers = SYSTEM.at("paper")
    even = replace(answers, views=Fixed(32 * 392, 392))
    size = (480, 640)
    whole = replace(even.connector, pool_time=1, pool_space=1)
    one = geometry(replace(even, connector=whole), size).placeholders
    assert one == 32 * 28 * 28 and geometry(even, size).placeholders == one // 16
    # At 384 pixels a frame is 27 x 27 tokens: the last boxes are smaller.
    assert geometry(answers, size).placeholders == 8 * 14 * 14


@lawful
def test_pooling_identical_frames_gives_one_frame():
    """After mixing no two frames are alike; before it is taught, all are."""
    answers = clip(pool_time=FRAMES)
    model = build(answers).eval()
    inputs = batch(answers, [SAMPLE])
    frame = inputs.images[:, :, :24]
    inputs = replace(inputs, images=frame.repeat(1, 1, FRAMES, 1))
    alike = replace(clip(), views=Fixed(24, 40), encoder=tiny(SLUG).encoder)
    single = build(replace(alike, connector=replace(alike.connector, frames=1))).eval()
    alone = model.connector.mlp(model.encoder.each(frame).tokens)
    close(model.stream(inputs).embeddings[:, 2:-3], alone, 1e-6)
    assert count(single, "connector") == count(model, "connector")


@lawful
def test_eight_times_less_work_for_the_language_model():
    """Tokens of 32 frames, sampled 1 of 2 after pooling 4: an eighth at least, decoder alone."""
    answers = SYSTEM.at("paper")
    plain = replace(answers.connector, pool_time=1, pool_space=1)
    full = cost(replace(answers, connector=plain)).part_flops("decoder")
    cut = cost(answers).part_flops("decoder")
    assert full / cut > 8


@lawful
def test_padding_and_companions_change_no_clip():
    answers = clip(pool_time=2, pool_space=2)
    model = fresh(answers).requires_grad_(False)
    samples = [SAMPLE, (said(4, 3),), (Picture(2, 50, 60), said(1, 4))]
    together = batch(answers, samples, side="left")
    logits = model(together)
    for number, sample in enumerate(samples):
        close(logits[number][real(together)[number]], model(batch(answers, [sample]))[0], 1e-5)
