"""Times of a flow as waves and as intervals."""

import math

import torch

from chiasm.layers import FREQUENCIES, time_group, waves


def test_waves_read_like_the_equation():
    time = torch.tensor([0.0, 0.3, 1.0])
    got = waves(time)
    assert got.shape == (3, FREQUENCIES)
    for j in (0, 5, 127):
        angle = 1000 * 0.3 * 10_000 ** (-j / 128)
        assert math.isclose(float(got[1, j]), math.cos(angle), abs_tol=1e-4)
        assert math.isclose(float(got[1, 128 + j]), math.sin(angle), abs_tol=1e-4)


def test_intervals_are_half_open_and_the_last_holds_one():
    time = torch.tensor([0.0, 0.33, 1 / 3 + 1e-6, 0.99, 1.0])
    assert time_group(time, 3).tolist() == [0, 0, 1, 2, 2]
