"""Rectified flow: paths, times and losses against the equations."""

import pytest
import torch
from torch.autograd import gradcheck

from chiasm.layers import time_group
from chiasm.objectives import (
    Direction,
    GroupTimes,
    LogitNormalTimes,
    NextToken,
    RectifiedFlow,
    TextAndFlow,
    UniformTimes,
    shifted,
)

PICTURES = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
NOISE = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("direction", Direction)
def test_a_draft_reads_like_the_equation(direction):
    time = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0])
    draft = RectifiedFlow(direction=direction).draft(PICTURES, time=time, noise=NOISE)
    for i, t in enumerate(time):
        if direction is Direction.TO_NOISE:
            value, velocity = (1 - t) * PICTURES[i] + t * NOISE[i], NOISE[i] - PICTURES[i]
        else:
            value, velocity = (1 - t) * NOISE[i] + t * PICTURES[i], PICTURES[i] - NOISE[i]
        torch.testing.assert_close(draft.values[i], value)
        torch.testing.assert_close(draft.velocity[i], velocity)
    clean = 0 if direction is Direction.TO_NOISE else 4
    assert torch.equal(draft.values[clean], PICTURES[clean])
    assert direction.noise(float(time[clean])) == 0.0


def test_the_velocity_is_the_path_s_derivative():
    flow = RectifiedFlow()
    early, late = (
        flow.draft(PICTURES, time=torch.full((5,), t), noise=NOISE) for t in (0.25, 0.75)
    )
    torch.testing.assert_close((late.values - early.values) / 0.5, early.velocity)


def test_drawn_drafts_follow_the_seed():
    flow = RectifiedFlow(times=LogitNormalTimes(3.0))
    drafts = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drafts.append(flow.draft(PICTURES))
    assert torch.equal(drafts[0].values, drafts[1].values)
    assert not torch.equal(drafts[0].time, drafts[2].time)
    assert not torch.equal(drafts[0].values, drafts[2].values)


def test_shifted_times_are_the_formula_and_their_median():
    """The median of sigma(n) is 1/2, so that of t is shift / (1 + shift)."""
    time = torch.linspace(0, 1, 11)
    torch.testing.assert_close(shifted(time, 3.0), 3 * time / (1 + 2 * time))
    assert torch.equal(shifted(time, 1.0), time)
    torch.manual_seed(0)
    drawn = LogitNormalTimes(3.0).draw(20_001)
    assert abs(float(drawn.median()) - 0.75) < 0.01
    assert 0 < float(drawn.min()) < float(drawn.max()) < 1


def test_group_times_are_one_interval_a_batch_and_uniform_over_batches():
    torch.manual_seed(0)
    groups, drawn, met = 5, [], []
    for _ in range(1001):
        time = GroupTimes(groups).draw(7)
        [group] = set(time_group(time, groups).tolist())
        met.append(group)
        drawn.append(time)
    assert all(150 < met.count(group) < 250 for group in range(groups))
    assert time_group(torch.tensor([0.0, 0.199, 0.2, 0.999, 1.0]), 5).tolist() == [0, 0, 1, 4, 4]
    times = torch.cat(drawn)
    uniform = UniformTimes().draw(len(times))
    assert abs(float(times.mean()) - float(uniform.mean())) < 0.02
    assert abs(float(times.std()) - 12**-0.5) < 0.01


def test_the_loss_is_the_mean_square_and_pieces_add_up():
    got, target = PICTURES.flatten(0, 1), NOISE.flatten(0, 1)
    flow = RectifiedFlow()
    torch.testing.assert_close(flow.judge(got, target), ((got - target) ** 2).mean())
    pieces = flow.judge(got[:11], target[:11], 35) + flow.judge(got[11:], target[11:], 35)
    torch.testing.assert_close(pieces, flow.judge(got, target))
    with pytest.raises(ValueError, match="no row of the batch is a draft"):
        flow.judge(got[:0], target[:0])


def test_the_loss_has_the_right_gradient():
    got = torch.randn(3, 5, dtype=torch.float32, requires_grad=True)
    target = torch.randn(3, 5)
    RectifiedFlow().judge(got, target).backward()
    torch.testing.assert_close(got.grad, 2 * (got - target).detach() / 15)
    assert gradcheck(
        lambda x: (x - target.double()).square().mean(), (got.double().detach().requires_grad_(),)
    )


def test_the_joint_objective_weighs_its_two_means():
    joint = TextAndFlow(text=NextToken(), flow=RectifiedFlow(), text_weight=0.25, flow_weight=3.0)
    logits, labels = torch.randn(4, 11), torch.tensor([1, 2, 3, 10])
    torch.testing.assert_close(
        joint.judge(logits, labels), 0.25 * NextToken().judge(logits, labels)
    )
    got, target = PICTURES[0], NOISE[0]
    torch.testing.assert_close(
        joint.judge_velocity(got, target, 14), 3.0 * RectifiedFlow().judge(got, target, 14)
    )
