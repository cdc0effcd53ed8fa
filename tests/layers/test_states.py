"""A state that skips what is missing equals a walk over what is there, in values and gradients."""

import pytest
import torch

from chiasm.layers.states import StateSteps, mean_change

WIDTHS, STATE, ROWS = (5, 3, 7), 11, 13
ORDERS = (None, (2, 0, 1))


def made(seed: int = 0) -> tuple[StateSteps, list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(seed)
    steps = StateSteps(WIDTHS, state=STATE, hidden=17)
    present = torch.rand(ROWS, len(WIDTHS)) < 0.6
    present[:2] = torch.tensor([[True] * 3, [False] * 3])
    return steps, [torch.randn(ROWS, width) for width in WIDTHS], present


def walked(
    steps: StateSteps,
    features: list[torch.Tensor],
    present: torch.Tensor,
    order: tuple[int, ...] | None,
) -> torch.Tensor:
    """Row by row, the encoders of present modalities alone."""
    rows = []
    for row in range(ROWS):
        state, states = steps.start, [steps.start]
        for at in order or range(len(WIDTHS)):
            if present[row, at]:
                state = steps.encoders[at](torch.cat([features[at][row], state]))
            states.append(state)
        rows.append(torch.stack(states))
    return torch.stack(rows)


@pytest.mark.parametrize("order", ORDERS)
def test_all_rows_at_once_equal_a_walk_in_values_and_gradients(order):
    steps, features, present = made()
    seeds = torch.randn(ROWS, len(WIDTHS) + 1, STATE)
    found = []
    for run in (steps.__call__, lambda *given: walked(steps, *given)):
        steps.zero_grad()
        states = run(features, present, order)
        (states * seeds).sum().backward()
        found.append((states, [p.grad.clone() for p in steps.parameters()]))
    (fast, fast_grads), (slow, slow_grads) = found
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    for one, other in zip(fast_grads, slow_grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_what_is_absent_is_not_read_and_teaches_nothing():
    steps, features, present = made()
    present[:, 1] = False
    features[1] = torch.full_like(features[1], float("nan"))
    states = steps(features, present)
    assert torch.equal(states[:, 2], states[:, 1])
    states.square().sum().backward()
    assert all(bool((p.grad == 0).all()) for p in steps.encoders[1].parameters())
    assert all(bool(p.grad.isfinite().all()) for p in steps.parameters())


def test_a_further_modality_leaves_earlier_states_bit_equal():
    steps, features, present = made()
    without = present.clone()
    without[:, 2] = False
    assert torch.equal(steps(features, present)[:, :3], steps(features, without)[:, :3])


def test_the_mean_change_is_that_of_present_modalities():
    steps, features, present = made()
    states = steps(features, present).detach()
    total = sum(
        float((states[row, at + 1] - states[row, at]).square().mean())
        for row in range(ROWS)
        for at in range(len(WIDTHS))
        if present[row, at]
    )
    expected = total / (ROWS * len(WIDTHS))
    assert float(mean_change(states, present)) == pytest.approx(expected, rel=1e-5)
