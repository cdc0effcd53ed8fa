"""A row plan read as a mask, in small matrices: query down, key across."""

from dataclasses import replace

import pytest
import torch

from chiasm.stream import ALL, TEXT, RowPlan, Rule, TokenTable, as_mask
from chiasm.stream.rule import OwnRow
from chiasm.visibility import Causal, Everything, dense_mask

PLANS = {
    "nothing is left out": (
        RowPlan(),
        ["1 . . .", "1 1 . .", "1 1 1 .", "1 1 1 1"],
    ),
    "visual rows are keys only": (
        RowPlan(query=TEXT, output=TEXT),
        ["1 . . .", ". . . .", ". . . .", "1 1 1 1"],
    ),
    "visual rows read themselves": (
        RowPlan(query=TEXT, output=ALL),
        ["1 . . .", ". 1 . .", ". . 1 .", "1 1 1 1"],
    ),
    "visual rows are not read": (
        RowPlan(query=TEXT, key_value=TEXT, output=TEXT),
        ["1 . . .", ". . . .", ". . . .", "1 . . 1"],
    ),
}


def table() -> TokenTable:
    """A text row, two visual rows, a text row."""
    rows = TokenTable.text(torch.ones(1, 4, dtype=torch.bool))
    return replace(rows, modality=torch.tensor([[0, 1, 1, 0]]))


def drawn(rule: Rule) -> list[str]:
    mask = dense_mask(rule, table(), table())[0]
    return [" ".join("1" if cell else "." for cell in row) for row in mask.tolist()]


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_as_a_mask(name):
    plan, expected = PLANS[name]
    assert drawn(as_mask(plan, Causal())) == expected


def test_a_rule_without_permit_says_so():
    with pytest.raises(TypeError, match="Rule does not define permit"):
        dense_mask(Rule(), table(), table())


def test_looking_ahead_follows_the_composition():
    """Safe by default: a rule looks ahead unless it is sure not to."""
    assert not Causal().looks_ahead
    assert Everything().looks_ahead
    assert not (Causal() & Everything()).looks_ahead
    assert (Causal() | Everything()).looks_ahead
    assert not (Causal() | OwnRow()).looks_ahead
    assert (~Causal()).looks_ahead


def test_rules_of_equal_values_are_equal():
    """Layers that share a rule share its mask: equality and hash are by value."""
    assert (Causal() & ~Everything()) == (Causal() & ~Everything())
    assert len({Causal() | OwnRow(), Causal() | OwnRow()}) == 1
