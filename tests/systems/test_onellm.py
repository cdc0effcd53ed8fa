"""The card of 173 onellm."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import close, fresh, tiny

from chiasm.assemble import build
from chiasm.connectors import RoutedProjection
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.encoders import FrameMean, FrameStack
from chiasm.spec import Fixed, geometry
from chiasm.stream import Features

SLUG = "onellm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PROJECTION = RoutedProjection(queries=5, branches=3, depth=2, heads=3, head_width=4, ff_width=19)
WIDTH, OUT, GRID = 11, 17, (3, 5)


def drawn() -> torch.nn.Module:
    torch.manual_seed(0)
    connector = PROJECTION.build(WIDTH, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return connector.requires_grad_(False)


def features(seed: int = 1) -> Features:
    return Features(torch.randn(2, 15, WIDTH, generator=torch.Generator().manual_seed(seed)), GRID)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def clips(answers, frames: int):
    """The same system over clips, each the mean of its frames."""
    height, width = answers.views.height, answers.views.width
    stack = FrameStack(each=answers.encoder, frames=frames)
    views = Fixed(frames * height, width)
    return replace(answers, views=views, encoder=FrameMean(stack=stack))


@lawful
def test_thirty_tokens_and_two_marks_whatever_comes_in():
    answers = SYSTEM.at("paper")
    for form in (answers, clips(answers, 8)):
        assert geometry(form, (480, 640)).placeholders == 30 + 2
    assert geometry(clips(answers, 8), (480, 640)).grids == ((1, 257),)
    wider = fresh(clips(tiny(SLUG), 3)).requires_grad_(False)
    images = torch.randn(1, 3, 72, 40, generator=torch.Generator().manual_seed(2))
    features = wider.encoder(images)
    rows, columns = features.grid
    assert features.tokens.shape[1] == rows * columns == 15


@lawful
def test_equal_stacks_leave_the_router_no_say():
    connector = drawn()
    first = connector.branches[0].state_dict()
    apart = connector.connect(features()).embeddings
    for branch in connector.branches:
        branch.load_state_dict(first)
    equal = connector.connect(features()).embeddings
    assert float((apart - equal).abs().max()) > 1e-2
    connector.router[2].bias.add_(torch.tensor([4.0, -4.0, 0.5]))
    close(connector.connect(features()).embeddings, equal, 1e-5)


@lawful
def test_the_weights_of_a_query_sum_to_one_and_every_stack_counts():
    connector = drawn()
    weights = connector.weights()
    assert weights.shape == (5, 3)
    close(weights.sum(-1), torch.ones(5), 1e-6)
    sigmoids = connector.router(connector.queries).sigmoid()
    close(weights, sigmoids / sigmoids.sum(-1, keepdim=True), 1e-6)
    before = connector.connect(features()).embeddings
    for branch in connector.branches:
        branch[1].ff.down_proj.weight.mul_(2.0)
        assert float((connector.connect(features()).embeddings - before).abs().max()) > 1e-3
        branch[1].ff.down_proj.weight.div_(2.0)


@lawful
def test_padded_tokens_are_not_read():
    connector, whole = drawn(), features()
    valid = torch.ones(2, 15, dtype=torch.bool)
    valid[:, 10:] = False
    got = connector.connect(replace(whole, valid=valid)).embeddings
    cut = connector.connect(Features(whole.tokens[:, :10], (2, 5))).embeddings
    close(got, cut, 1e-5)


@lawful
def test_frames_in_another_order_are_the_same_clip():
    model = fresh(clips(tiny(SLUG), 3)).requires_grad_(False)
    frames = torch.randn(3, 3, 24, 40, generator=torch.Generator().manual_seed(3))
    seen = [
        model.encoder(frames[list(order)].transpose(0, 1).reshape(1, 3, 72, 40)).tokens
        for order in ((0, 1, 2), (2, 0, 1))
    ]
    close(seen[0], seen[1], 1e-5)
    each = model.encoder.stack.each(frames).tokens
    close(seen[0][0], each.mean(0), 1e-5)


@lawful
def test_the_encoder_does_not_learn():
    stages = SYSTEM.at("paper").teaching.stages
    assert all("encoder" not in stage.trained for stage in stages)
    assert stages[-1].trained == ("decoder", "head")
    held = 8 * (4 * 1024**2 + 3 * 1024 * 2816 + 2 * 1024)
    branch = on_meta(SYSTEM.at("paper")).connector.each.branches[0]
    assert sum(p.numel() for p in branch.parameters()) == held
    assert count(on_meta(SYSTEM.at("paper")), "experts") == 0


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
