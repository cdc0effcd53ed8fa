"""Tied memory: media rows become the layer's projection of the memory, and nothing else changes."""

import pytest
import torch
from tests.tiny import close, reading_of
from torch import nn

from chiasm.fusion import TiedMemory
from chiasm.fusion.tied import Overwrite
from chiasm.spec.reading import Reading
from chiasm.stream import ALL, TEXT, Memory, RowPlan, TokenTable


def rows(count: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, count, dtype=torch.bool))


def reading(source: torch.Tensor, tokens: torch.Tensor | None, *, in_order: bool) -> Reading:
    memory = None if tokens is None else Memory(tokens, rows(tokens.shape[1]))
    return reading_of(rows(source.shape[1]), memory=memory, source=source, in_order=in_order)


def test_the_plan_keeps_visual_rows_as_keys_and_values():
    expected = RowPlan(query=TEXT, key_value=ALL, output=TEXT, feed_forward=TEXT)
    assert TiedMemory().plan(0) == expected
    assert TiedMemory().placeholders(576) == 576


def test_rows_are_overwritten_where_they_stand_for_a_token():
    torch.manual_seed(0)
    slot = Overwrite(nn.Linear(3, 5))
    hidden, tokens = torch.randn(2, 4, 5), torch.randn(2, 3, 3)
    source = torch.tensor([[-1, 2, 0, -1], [1, -1, -1, -1]])
    got = slot(hidden, reading(source, tokens, in_order=False))
    projected = slot.projector(tokens)
    expected = hidden.clone()
    expected[0, 1], expected[0, 2], expected[1, 0] = (
        projected[0, 2],
        projected[0, 0],
        projected[1, 1],
    )
    close(got, expected, 1e-6)


def test_rows_in_order_take_the_shorter_way_to_the_same():
    torch.manual_seed(0)
    slot = Overwrite(nn.Linear(3, 5))
    hidden, tokens = torch.randn(2, 5, 5), torch.randn(2, 3, 3)
    source = torch.tensor([[0, 1, 2, -1, -1]] * 2)
    quick, slow = (slot(hidden, reading(source, tokens, in_order=o)) for o in (True, False))
    close(quick, slow, 1e-6)
    weights = list(slot.parameters())
    for a, b in zip(
        torch.autograd.grad(quick.square().sum(), weights),
        torch.autograd.grad(slow.square().sum(), weights),
        strict=True,
    ):
        close(a, b, 1e-5)


@pytest.mark.parametrize("media", [True, False])
def test_a_cached_step_without_media_is_left_alone(media):
    slot = Overwrite(nn.Linear(3, 5))
    hidden = torch.randn(2, 1, 5)
    source = torch.full((2, 1), -1)
    tokens = torch.randn(2, 3, 3) if media else None
    got = slot(hidden, reading(source, tokens, in_order=False))
    assert torch.equal(got, hidden)
