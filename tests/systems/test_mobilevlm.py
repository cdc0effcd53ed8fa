"""The card of 160 mobilevlm. Its convolutions are tested in their own room."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from torch.nn import functional as F

from chiasm.connectors import LDP, MLP, PooledLDP
from chiasm.cost import count as bill
from chiasm.spec import Scale, geometry
from chiasm.stream import Features

SLUG = "mobilevlm"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_projectors_have_the_published_sizes():
    assert count(on_meta(PAPER), "connector") == 18_936_832
    with torch.device("meta"):
        wider, pooled = LDP().build(1024, 2560), PooledLDP(side=12).build(1024, 2048)
    assert sum(p.numel() for p in wider.parameters()) == 28_913_920
    assert sum(p.numel() for p in pooled.parameters()) == 6_316_032


@lawful
def test_576_tokens_become_144():
    plan = geometry(PAPER, (480, 640))
    assert plan.grids == ((24, 24),) and plan.placeholders == 144
    assert PooledLDP(side=12).count((24, 24)) == 144


@lawful
def test_the_projector_step_by_step():
    """The slow reading, from the weights alone, on a grid that is no square."""
    connector = LDP().build(5, 12)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    tokens = torch.randn(1, 12, 5, requires_grad=True)
    out = connector.connect(Features(tokens, (3, 4))).embeddings
    maps = connector.mlp(tokens).transpose(1, 2).view(1, 12, 3, 4)
    state = dict(connector.named_parameters())

    def block(name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        def norm(which: str, y: torch.Tensor) -> torch.Tensor:
            mean, spread = y.mean(1, keepdim=True), y.var(1, keepdim=True, unbiased=False)
            weight, bias = state[f"{name}.{which}.weight"], state[f"{name}.{which}.bias"]
            return (y - mean) / (spread + 1e-5).sqrt() * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)

        y = F.conv2d(x, state[f"{name}.depthwise.weight"], stride=stride, padding=1, groups=12)
        y = norm("norm1", y)
        y = y * (y + 3).clamp(0, 6) / 6
        weights = torch.relu(
            y.mean((2, 3)) @ state[f"{name}.weigh.squeeze.weight"].T
            + state[f"{name}.weigh.squeeze.bias"]
        )
        weights = (
            weights @ state[f"{name}.weigh.excite.weight"].T + state[f"{name}.weigh.excite.bias"]
        )
        y = y * ((weights + 3).clamp(0, 6) / 6)[..., None, None]
        return norm(
            "norm2", torch.einsum("oc,bchw->bohw", state[f"{name}.pointwise.weight"][..., 0, 0], y)
        )

    maps = maps + block("first", maps, 1)
    slow = block("second", maps, 2).flatten(2).transpose(1, 2)
    assert out.shape == (1, 2 * 2, 12)
    torch.testing.assert_close(out, slow, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        *(torch.autograd.grad(o.square().sum(), tokens, retain_graph=True)[0] for o in (out, slow)),
        atol=1e-4,
        rtol=1e-4,
    )


@lawful
def test_prefill_costs_what_a_quarter_of_the_tokens_costs():
    """With 64 words: 208 rows in place of 640."""
    fewer, all_of_them = (
        bill(answers, text=64, name=SLUG).part_flops("decoder")
        for answers in (PAPER, replace(PAPER, connector=MLP()))
    )
    assert 208 / 640 * 0.95 < fewer / all_of_them < 208 / 640
