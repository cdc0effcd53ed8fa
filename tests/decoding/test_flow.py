"""Euler steps and guidance, against closed forms and the equations."""

import pytest
import torch

from chiasm.decoding import Guidance, Rescale, euler, times
from chiasm.errors import Misuse
from chiasm.objectives import Direction

FULL, NO_TEXT, NO_IMAGE = (
    torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(n)) for n in range(3)
)


@pytest.mark.parametrize("direction", Direction)
def test_times_run_from_noise_to_picture(direction):
    at = times(4, direction)
    ends = (1.0, 0.0) if direction is Direction.TO_NOISE else (0.0, 1.0)
    assert (float(at[0]), float(at[-1])) == ends
    torch.testing.assert_close(at.diff().abs(), torch.full((4,), 0.25))
    with pytest.raises(Misuse, match="at least 1 step, not 0"):
        times(0, direction)


def test_shifted_times_are_the_formula():
    even = torch.linspace(1, 0, 51)
    torch.testing.assert_close(times(50, Direction.TO_NOISE, shift=3.0), 3 * even / (1 + 2 * even))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("direction", Direction)
def test_a_straight_path_is_walked_exactly(direction, steps):
    noise, picture = FULL, NO_TEXT
    start, end = direction.ends(picture, noise)
    at = times(steps, direction, shift=2.0)
    got = euler(lambda x, t: end - start, noise, at)
    torch.testing.assert_close(got, picture, atol=1e-5, rtol=1e-5)


def test_euler_is_the_recurrence():
    """x' = x from time 1 to 0 in n steps: x (1 - 1/n)^n."""
    got = euler(lambda x, t: x, FULL, times(5, Direction.TO_NOISE))
    torch.testing.assert_close(got, FULL * (1 - 0.2) ** 5)


def test_a_guidance_of_one_is_the_conditional_velocity():
    assert torch.equal(Guidance().combine(FULL, NO_TEXT, NO_IMAGE), FULL)
    assert not Guidance().acts(0.7)


def test_guidance_acts_inside_its_interval():
    guidance = Guidance(text=4.0, interval=(0.4, 1.0))
    assert [guidance.acts(n) for n in (0.3, 0.4, 0.41, 1.0)] == [False, False, True, True]
    with pytest.raises(Misuse, match=r"from 0\.9 to 0\.1 covers nothing"):
        Guidance(interval=(0.9, 0.1))


def test_two_guidances_read_like_the_equation():
    guided = NO_TEXT + 4.0 * (FULL - NO_TEXT)
    guided = NO_IMAGE + 1.5 * (guided - NO_IMAGE)
    got = Guidance(text=4.0, image=1.5).combine(FULL, NO_TEXT, NO_IMAGE)
    torch.testing.assert_close(got, guided)
    torch.testing.assert_close(
        Guidance(text=4.0).combine(FULL, NO_TEXT, None), NO_TEXT + 4.0 * (FULL - NO_TEXT)
    )


def test_rescaling_never_lengthens_and_keeps_the_direction():
    plain = Guidance(text=4.0, image=1.5).combine(FULL, NO_TEXT, NO_IMAGE)
    picture = Guidance(text=4.0, image=1.5, rescale=Rescale.PICTURE)
    got = picture.combine(FULL, NO_TEXT, NO_IMAGE)
    torch.testing.assert_close(got.norm(dim=(1, 2)), FULL.norm(dim=(1, 2)))
    torch.testing.assert_close(
        got / got.norm(dim=(1, 2), keepdim=True), plain / plain.norm(dim=(1, 2), keepdim=True)
    )
    row = Guidance(text=4.0, image=1.5, rescale=Rescale.ROW).combine(FULL, NO_TEXT, NO_IMAGE)
    longest = torch.minimum(FULL.norm(dim=-1), plain.norm(dim=-1))
    torch.testing.assert_close(row.norm(dim=-1), longest)
    least = Guidance(text=4.0, image=1.5, rescale=Rescale.ROW, least=1.0)
    torch.testing.assert_close(least.combine(FULL, NO_TEXT, NO_IMAGE), plain)


def test_rescaling_the_text_comes_before_the_image():
    guidance = Guidance(text=4.0, image=1.5, rescale=Rescale.TEXT_ROW)
    text = NO_TEXT + 4.0 * (FULL - NO_TEXT)
    shorter = (FULL.norm(dim=-1, keepdim=True) / text.norm(dim=-1, keepdim=True)).clamp(max=1.0)
    expected = NO_IMAGE + 1.5 * (text * shorter - NO_IMAGE)
    torch.testing.assert_close(guidance.combine(FULL, NO_TEXT, NO_IMAGE), expected)
