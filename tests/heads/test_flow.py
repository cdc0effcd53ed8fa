"""The flow head: patches, times, positions, and a first velocity of zero."""

import math

import pytest
import torch
from torch import nn

from chiasm.heads import FlowHead, Latent
from chiasm.layers import sine_positions
from chiasm.spec import Host

HOST = Host(vocabulary=31, width=29, depth=1, heads=1, kv_heads=1, ff_width=7, head_width=6)
LATENT = Latent(height=12, width=20, patch=2, stride=2, channels=5)


def test_rows_are_patches_and_go_back():
    cells = torch.randn(3, 5, 6, 10)
    rows = LATENT.to_rows(cells)
    assert LATENT.grid == (3, 5) and rows.shape == (3, LATENT.rows, LATENT.row_width) == (3, 15, 20)
    assert torch.equal(rows[1, 7], cells[1, :, 2:4, 4:6].flatten())
    assert torch.equal(LATENT.to_cells(rows), cells)


def test_a_picture_that_no_patches_make_is_refused():
    with pytest.raises(ValueError, match="12 x 21 pixels is not made of patches of 4 x 4"):
        Latent(height=12, width=21, patch=2, stride=2)


def test_flux_s_latents_at_1024_pixels_are_4096_rows_of_64():
    flux = Latent(height=1024, width=1024, patch=2, stride=8, channels=16)
    assert (flux.rows, flux.row_width) == (4096, 64)


def test_rows_enter_as_the_sum_of_what_they_are():
    head = FlowHead(latent=LATENT).build(HOST, nn.Embedding(31, 29))
    values, place = torch.randn(2, 7, 20), torch.randint(0, 15, (2, 7))
    time = torch.rand(2, 7)
    got = head.flow.enter(values, time, place)
    waves = []
    for j in range(128):
        waves.append(torch.cos(1000 * time[1, 3] * 10_000 ** (-j / 128)))
    for j in range(128):
        waves.append(torch.sin(1000 * time[1, 3] * 10_000 ** (-j / 128)))
    inner = head.flow.time.first(torch.stack(waves))
    said = head.flow.time.second(inner * torch.sigmoid(inner))
    expected = head.flow.enter_proj(values[1, 3]) + said + sine_positions(3, 5, 29)[place[1, 3]]
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
