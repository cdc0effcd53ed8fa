"""The chunked scan against the recurrence, in values and gradients."""

import pytest
import torch
from tests.operator_count import operator_macs
from torch import Tensor

from chiasm.layers.ssd import scan, scan_slowly, scan_step

LENGTHS = [1, 2, 7, 13, 31]


def given(
    length: int, *, groups: int = 2, kind: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    """x, delta, a, b, c, d and a first state of 3 sequences, 6 heads of width 5, states of 7."""
    torch.manual_seed(seed)
    heads = 6
    x = torch.randn(3, length, heads, 5)
    delta = torch.nn.functional.softplus(torch.randn(3, length, heads))
    a = -torch.rand(heads) * 3 - 0.1
    b, c = torch.randn(2, 3, length, groups, 7).unbind(0)
    d, state = torch.randn(heads), torch.randn(3, heads, 5, 7)
    return [values.to(kind) for values in (x, delta, a, b, c, d, state)]


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("chunk", [1, 3, 8, 64])
@pytest.mark.parametrize("length", LENGTHS)
def test_chunks_equal_the_recurrence_in_values_and_gradients(
    length: int, chunk: int, groups: int
) -> None:
    fast = [v.requires_grad_() for v in given(length, groups=groups)]
    slow = [v.detach().clone().requires_grad_() for v in fast]
    got, expected = scan(*fast, chunk=chunk), scan_slowly(*slow)
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10)
    weights = [torch.randn_like(v) for v in expected]
    for out in (got, expected):
        sum((w * o).sum() for w, o in zip(weights, out, strict=True)).backward()
    for mine, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-9, rtol=1e-9)


def test_the_recurrence_reads_like_the_equation() -> None:
    """One head, one number wide: h = e^{delta a} h + delta b x, y = c h + d x."""
    x, delta, b, c = (
        torch.tensor(v, dtype=torch.float64) for v in ([2, 3], [0.5, 1], [1, 4], [3, -1])
    )
    shape = (1, 2, 1, 1)
    a, d = torch.tensor([-1.0]).double(), torch.tensor([0.25]).double()
    first = 0.5 * 2
    second = torch.exp(torch.tensor(-1.0).double()) * first + 4 * 3
    expected = torch.tensor([3 * first + 0.25 * 2, -second + 0.25 * 3])
    got, state = scan_slowly(x.view(shape), delta.view(1, 2, 1), a, b.view(shape), c.view(shape), d)
    torch.testing.assert_close(got.flatten(), expected.double())
    torch.testing.assert_close(state.flatten()[0], second)


@pytest.mark.parametrize("border", [1, 5, 12])
def test_a_state_handed_on_between_segments_gives_the_whole(border: int) -> None:
    *rows, state = given(13)
    whole, end = scan(*rows, state, chunk=4)

    def part(run: slice) -> list[Tensor]:
        x, delta, a, b, c, d = rows
        return [x[:, run], delta[:, run], a, b[:, run], c[:, run], d]

    first, between = scan(*part(slice(0, border)), state, chunk=4)
    second, last = scan(*part(slice(border, 13)), between, chunk=5)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(last, end)


def test_segments_that_share_a_beginning_start_from_its_state() -> None:
    """Two ends of one sequence, from the state of what they share, equal two whole sequences."""
    x, delta, a, b, c, d, _ = given(11)
    _, shared = scan(x[:1, :4], delta[:1, :4], a, b[:1, :4], c[:1, :4], d, chunk=3)
    ends = [v[1:, 4:] for v in (x, delta, b, c)]
    got, _ = scan(ends[0], ends[1], a, ends[2], ends[3], d, shared.expand(2, -1, -1, -1), chunk=3)
    whole = [
        torch.cat([v[:1, :4].expand(2, *(-1,) * (v.dim() - 1)), v[1:, 4:]], 1)
        for v in (x, delta, b, c)
    ]
    expected, _ = scan_slowly(whole[0], whole[1], a, whole[2], whole[3], d)
    torch.testing.assert_close(got, expected[:, 4:])


@pytest.mark.parametrize("run", [scan, scan_slowly])
def test_rows_without_a_step_are_passed_over(run) -> None:
    """Wherever they stand, rows of delta 0 change neither the state nor what other rows read."""
    x, delta, a, b, c, d, state = given(13)
    idle = torch.tensor([0, 1, 6, 12])
    delta[:, idle] = 0
    kept = [t for t in range(13) if t not in idle]
    got, end = run(x, delta, a, b, c, d, state)
    expected, last = run(x[:, kept], delta[:, kept], a, b[:, kept], c[:, kept], d, state)
    torch.testing.assert_close(got[:, kept], expected)
    torch.testing.assert_close(end, last)


def test_a_row_depends_on_no_later_row() -> None:
    rows = given(13)
    before, _ = scan(*rows, chunk=4)
    rows[0][:, 8:] += 1
    after, _ = scan(*rows, chunk=4)
    torch.testing.assert_close(after[:, :8], before[:, :8], atol=0, rtol=0)
    assert not torch.allclose(after[:, 8:], before[:, 8:])


def test_constant_steps_reduce_it_to_a_convolution() -> None:
    """With delta, B and C the same in every row, y = K * x: what S6 has over S4 is selection."""
    x, delta, a, b, c, d, _ = given(11)
    delta, b, c = (v[:, :1].expand_as(v) for v in (delta, b, c))
    got, _ = scan(x, delta, a, b, c, d, chunk=4)
    repeated = [v[:, 0].repeat_interleave(3, 1) for v in (b, c)]
    gain = (repeated[0] * repeated[1]).sum(-1)
    places = torch.arange(11.0).double()
    kernel = (delta[:, 0] * gain).unsqueeze(-1) * ((delta[:, 0] * a).unsqueeze(-1) * places).exp()
    expected = torch.stack(
        [
            torch.einsum("sht,sthp->shp", kernel[..., : t + 1].flip(-1), x[:, : t + 1])
            for t in range(11)
        ],
        1,
    )
    torch.testing.assert_close(got, expected + d.unsqueeze(-1) * x)


def test_half_precision_is_accumulated_in_float32() -> None:
    """Also under autocast: only the inputs' and the outputs' rounding may remain."""
    halves = [v.bfloat16() for v in given(31, kind=torch.float32)]
    exact, end = scan_slowly(*(v.double() for v in halves))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, state = scan(*halves, chunk=8)
    assert got.dtype == torch.bfloat16 and state.dtype == torch.float32
    torch.testing.assert_close(state.double(), end, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.double(), exact, atol=1e-6, rtol=2**-8)


def test_small_steps_after_large_ones_stay_exact() -> None:
    """In float32, sums of thousands leave nothing of a small difference."""
    x, delta, a, b, c, d, state = given(64, kind=torch.float32)
    a, delta = a * 40, delta * 2
    delta[:, 32:] *= 1e-4
    got, _ = scan(x, delta, a, b, c, d, state)
    expected, _ = scan_slowly(*(v.double() for v in (x, delta, a, b, c, d, state)))
    torch.testing.assert_close(got.double(), expected, atol=2e-5, rtol=2e-5)


def test_one_step_is_one_row_of_the_scan() -> None:
    x, delta, a, b, c, d, state = given(1)
    row, after = scan_step(x[:, 0], delta[:, 0], a, b[:, 0], c[:, 0], d, state)
    got, end = scan(x, delta, a, b, c, d, state)
    torch.testing.assert_close(got[:, 0], row)
    torch.testing.assert_close(end, after)


def test_work_grows_with_the_length_not_its_square() -> None:
    counted = [operator_macs(lambda n=n: scan(*given(n), chunk=8)) for n in (64, 128, 256)]
    assert counted[1] == 2 * counted[0] and counted[2] == 4 * counted[0]
