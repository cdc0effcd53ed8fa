"""STORM's temporal projector: an MLP at first, then frames that know one another."""

from dataclasses import replace

import pytest
import torch
from tests.layers.mamba import CASES, disturb
from tests.operator_count import operator_macs
from torch import Tensor

from chiasm.connectors import MLP, TemporalScan
from chiasm.connectors.temporal_scan import TemporalProjector
from chiasm.encoders import FrameStack, VisionTransformer
from chiasm.errors import Misuse
from chiasm.layers import ScanOrder
from chiasm.stream import Features

WIDTH, HOST_WIDTH = 13, 19
FRAMES, ROWS, COLUMNS = 5, 3, 7
GRID, EACH = (FRAMES * ROWS, COLUMNS), ROWS * COLUMNS
ANSWER = TemporalScan(mixer=CASES["one group"], frames=FRAMES)


def projector(answer: TemporalScan = ANSWER, *, moved: bool = True) -> TemporalProjector:
    torch.manual_seed(0)
    made = answer.build(WIDTH, HOST_WIDTH).eval()
    if moved:
        disturb(made)
    return made


def out(made: TemporalProjector, tokens: Tensor) -> Tensor:
    return made.connect(Features(tokens, GRID)).embeddings


@pytest.mark.parametrize("depth", [1, 3])
def test_a_fresh_projector_is_the_mlp_bit_for_bit(depth: int) -> None:
    mine, mlp = projector(replace(ANSWER, depth=depth), moved=False), MLP().build(WIDTH, HOST_WIDTH)
    mlp.load_state_dict(mine.mlp.state_dict())
    tokens = torch.randn(2, FRAMES * EACH, WIDTH)
    assert torch.equal(out(mine, tokens), mlp.connect(Features(tokens, GRID)).embeddings)


@pytest.mark.parametrize("moved", [True, False])
def test_what_ends_in_zeros_still_learns(moved: bool) -> None:
    mine = projector(moved=moved)
    out(mine, torch.randn(2, FRAMES * EACH, WIDTH)).square().sum().backward()
    assert bool((mine.mixers[0].out_proj.weight.grad != 0).any())
    assert bool((mine.mixers[0].in_proj.weight.grad != 0).any()) is moved


def test_a_kept_frame_depends_on_the_dropped_one_before_it() -> None:
    """Frame 2 is kept, frame 1 dropped; the MLP's kept frame knows its own only."""
    sampled = projector(replace(ANSWER, sample=2))
    tokens = torch.randn(1, FRAMES * EACH, WIDTH)

    def kept(tokens: Tensor) -> Tensor:
        frames = out(sampled, tokens).unflatten(1, (3, EACH))
        return frames[0, 1].sum(-1)

    reads = torch.autograd.functional.jacobian(kept, tokens)[:, 0].unflatten(1, (FRAMES, EACH))
    by_frame = reads.abs().amax((0, 2, 3))
    assert bool((by_frame > 1e-6).all())
    sampled.load_state_dict(
        {n: torch.zeros_like(v) if "out_proj" in n else v for n, v in sampled.state_dict().items()}
    )
    reads = torch.autograd.functional.jacobian(kept, tokens)[:, 0].unflatten(1, (FRAMES, EACH))
    by_frame = reads.abs().amax((0, 2, 3))
    assert by_frame[2] > 1e-6 and by_frame[[0, 1, 3, 4]].max() == 0


def test_sampling_needs_no_teaching_and_keeps_every_kth_frame_of_the_whole() -> None:
    whole, sampled = projector(), replace(ANSWER, sample=2).build(WIDTH, HOST_WIDTH)
    sampled.load_state_dict(whole.state_dict())
    tokens = torch.randn(2, FRAMES * EACH, WIDTH)
    frames = out(whole, tokens).unflatten(1, (FRAMES, EACH))
    assert torch.equal(out(sampled, tokens), frames[:, ::2].flatten(1, 2))


def test_pooling_both_ways_leaves_a_sixteenth() -> None:
    """Eight frames of 4 x 6 tokens, 4 frames and 2 x 2 places a mean: T N to T N / 16."""
    answer = replace(ANSWER, frames=8, pool_time=4, pool_space=2)
    grid, tokens = (8 * 4, 6), torch.randn(2, 8 * 24, WIDTH)
    assert answer.count(grid) == 8 * 24 // 16
    pooled = projector(answer).connect(Features(tokens, grid)).embeddings
    whole = projector(replace(ANSWER, frames=8)).connect(Features(tokens, grid)).embeddings
    boxes = whole.view(2, 2, 4, 2, 2, 3, 2, HOST_WIDTH)
    expected = boxes.mean((2, 4, 6)).flatten(1, 3)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_pooling_identical_frames_gives_one_frame() -> None:
    answer = replace(ANSWER, pool_time=FRAMES)
    fresh, single = projector(answer, moved=False), projector(moved=False).mlp
    frame = torch.randn(2, EACH, WIDTH)
    got = out(fresh, frame.repeat(1, FRAMES, 1))
    torch.testing.assert_close(got, single(frame), atol=1e-6, rtol=1e-6)


POOLS = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (4, 2, 1), (2, 3, 2), (1, 1, 3), (7, 7, 7)]


@pytest.mark.parametrize("factors", POOLS)
def test_count_and_work_follow_from_geometry(factors: tuple[int, int, int]) -> None:
    """Odd numbers of frames and places too: boxes at the end are smaller."""
    time, space, sample = factors
    answer = replace(ANSWER, pool_time=time, pool_space=space, sample=sample)
    given = Features(torch.randn(1, FRAMES * EACH, WIDTH), GRID)
    assert projector(answer).connect(given).embeddings.shape == (1, answer.count(GRID), HOST_WIDTH)
    counted = operator_macs(lambda: projector(answer).connect(given))
    assert sum(w.macs for w in answer.work(GRID, WIDTH, HOST_WIDTH)) == counted


@pytest.mark.parametrize("factors", POOLS)
def test_padding_cannot_change_the_output(factors: tuple[int, int, int]) -> None:
    """A picture at native resolution: below it and beside it is padding."""
    time, space, sample = factors
    answer = replace(ANSWER, frames=1, pool_time=time, pool_space=space, sample=sample)
    mine, tokens = projector(answer), torch.randn(2, 35, WIDTH)
    grid = (7, 5)
    valid = torch.ones(2, *grid, dtype=torch.bool)
    valid[1, 4:] = valid[1, :, 3:] = False
    valid = valid.flatten(1)
    changed = torch.where(valid.unsqueeze(-1), tokens, 1e3)
    before, after = (mine.connect(Features(t, grid, valid)) for t in (tokens, changed))
    assert before.valid is not None and before.valid.shape == before.embeddings.shape[:2]
    torch.testing.assert_close(
        after.embeddings[before.valid], before.embeddings[before.valid], atol=1e-5, rtol=1e-5
    )
    alone = mine.connect(Features(tokens[1:, valid[1]], (4, 3))).embeddings[0]
    got = before.embeddings[1][before.valid[1]]
    torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("axes", [(1, 2, 0), (0, 2, 1)])
def test_the_walk_is_undone_after_mixing(axes: tuple[int, int, int]) -> None:
    """A walk permutes what the mixer reads; frames and places stay where they are."""
    order = ScanOrder(axes)
    mine, tokens = projector(replace(ANSWER, axes=axes)), torch.randn(1, FRAMES * EACH, WIDTH)
    got, clip = mine.mlp(tokens), (FRAMES, ROWS, COLUMNS)
    update = mine.mixers[0](order.scan(mine.norms[0](got), clip))
    torch.testing.assert_close(out(mine, tokens), got + order.unscan(update, clip))
    assert not torch.allclose(out(projector(), tokens), out(mine, tokens), atol=1e-3)


def test_a_stack_of_frames_is_encoded_frame_by_frame() -> None:
    each = VisionTransformer(patch=8, width=20, depth=1, heads=4, ff_width=31)
    stack = FrameStack(each=each, frames=FRAMES)
    encoder = stack.build().eval()
    clip = torch.randn(2, 3, FRAMES * 24, 40)
    seen = encoder(clip)
    assert seen.grid == stack.grid((FRAMES * 24, 40)) == (FRAMES * 3, 5)
    assert seen.tokens.shape == (2, FRAMES * 15, stack.width)
    alone = encoder.each(clip[1:, :, 2 * 24 : 3 * 24]).tokens
    torch.testing.assert_close(seen.tokens[1:, 30:45], alone, atol=1e-5, rtol=1e-5)
    counted = operator_macs(lambda: encoder(clip[:1]))
    assert sum(w.macs for w in stack.work((FRAMES * 24, 40))) == pytest.approx(counted, rel=0.01)
    with pytest.raises(Misuse, match="clips of other sizes"):
        encoder(clip, torch.rand(2, FRAMES * 24, 40) < 0.5)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="14 rows of tokens are not 5 equal frames"):
        ANSWER.count((14, 7))
    each = VisionTransformer(patch=8, width=20, depth=1, heads=4, ff_width=31)
    with pytest.raises(ValueError, match="121 rows of pixels is not 5 equal frames"):
        FrameStack(each=each, frames=5).grid((121, 8))
    with pytest.raises(ValueError, match="start at 1"):
        replace(ANSWER, sample=0)
