"""`grouped_mm` against one product an expert, at widths that the kernels refuse too."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from chiasm.layers import GroupedLinear, grouped_mm, grouped_mm_slowly

SIZES = {
    "ragged": (3, 7, 1, 5),
    "an empty expert": (4, 0, 9, 0),
    "one row": (0, 0, 1, 0),
    "no rows": (0, 0, 0, 0),
}


def operands(sizes, width, out, number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes), width, generator=generator).to(number).requires_grad_()
    weight = torch.randn(len(sizes), width, out, generator=generator).to(number).requires_grad_()
    return x, weight, torch.tensor(sizes).cumsum(0).int()


@pytest.mark.parametrize(("number", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize(("width", "out"), [(16, 24), (13, 7), (8, 5), (11, 32)])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_values_and_gradients_equal_the_loop(sizes, width, out, number, tolerance):
    results = []
    for multiply in (grouped_mm, grouped_mm_slowly):
        x, weight, ends = operands(sizes, width, out, number)
        y = multiply(x, weight, ends)
        seen = torch.randn(y.shape, generator=torch.Generator().manual_seed(9)).to(number)
        (y * seen).sum().backward()
        results.append((y.detach(), x.grad, weight.grad))
    for got, expected in zip(*results, strict=True):
        assert got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
    for expert, size in enumerate(sizes):
        assert bool((results[0][2][expert] != 0).any()) == (size > 0)


def test_an_expanded_gradient_is_accepted():
    x, weight, ends = operands((3, 2), 16, 8, torch.float32)
    grouped_mm(x, weight, ends).sum().backward()
    torch.testing.assert_close(x.grad[4], weight[1].sum(1))


def test_autocast_decides_the_number_type():
    x, weight, ends = operands((3, 2), 16, 8, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert grouped_mm(x, weight, ends).dtype == torch.bfloat16
    assert grouped_mm(x, weight, ends).dtype == torch.float32


def test_three_ways_of_asking_agree():
    matrix = GroupedLinear(3, 13, 7)
    x = torch.randn(3, 5, 13, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([matrix.single(x[e], e) for e in range(3)])
    torch.testing.assert_close(matrix.equal(x, slice(0, 3)), expected)
    torch.testing.assert_close(matrix.equal(x[1:], slice(1, 3)), expected[1:])
    ends = torch.tensor([5, 10, 15], dtype=torch.int32)
    torch.testing.assert_close(matrix.grouped(x.flatten(0, 1), ends), expected.flatten(0, 1))


def test_the_operator_counter_counts_forward_and_backward():
    x, weight, ends = operands((3, 2), 16, 8, torch.float32)
    with FlopCounterMode(display=False) as counter:
        y = grouped_mm(x, weight, ends)
        forward = counter.get_total_flops()
        y.square().sum().backward()
    assert forward == 2 * 5 * 16 * 8
    assert counter.get_total_flops() == 3 * forward
