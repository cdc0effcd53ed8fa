"""The flow head: patches, times, positions, and a first velocity of zero."""

import math

import torch
from torch import nn

from chiasm.heads import FlowHead
from chiasm.layers import sine_positions
from chiasm.spec import Host, Latent

HOST = Host(vocabulary=31, width=29, depth=1, heads=1, kv_heads=1, ff_width=7, head_width=6)
LATENT = Latent(height=12, width=20, patch=2, stride=2, channels=5)


def test_rows_enter_as_the_sum_of_what_they_are():
    head = FlowHead(latent=LATENT).build(HOST, nn.Embedding(31, 29))
    values, at = torch.randn(2, 7, 20), torch.randint(0, 15, (2, 7))
    time = torch.rand(2, 7)
    got = head.enter(values, torch.stack([time, at // 5, at % 5], -1))
    waves = []
    for j in range(128):
        waves.append(torch.cos(1000 * time[1, 3] * 10_000 ** (-j / 128)))
    for j in range(128):
        waves.append(torch.sin(1000 * time[1, 3] * 10_000 ** (-j / 128)))
    inner = head.flow.time.first(torch.stack(waves))
    said = head.flow.time.second(inner * torch.sigmoid(inner))
    expected = head.flow.enter_proj(values[1, 3]) + said + sine_positions(3, 5, 29)[at[1, 3]]
    torch.testing.assert_close(got[1, 3], expected, atol=1e-4, rtol=1e-4)


def test_the_first_velocity_is_zero_and_learns():
    head = FlowHead(latent=LATENT).build(HOST, nn.Embedding(31, 29))
    hidden = torch.randn(3, 29)
    velocity = head.velocity(hidden)
    assert torch.equal(velocity, torch.zeros(3, 20))
    (velocity - 1.0).square().mean().backward()
    assert bool((head.flow.velocity_proj.weight.grad != 0).any())
    assert head.emit(hidden).shape == (3, 31)


def test_work_counts_the_latent_s_way_in_and_out():
    bill = {line.name: line.macs for line in FlowHead(latent=LATENT).latent_work(HOST)}
    assert bill["latent in"] == bill["velocity"] == 15 * 20 * 29
    assert bill["time"] == 256 * 29 + 29 * 29
    assert math.prod((15, 20)) == 300
