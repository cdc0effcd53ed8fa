"""A layer's view of a call: rows, groups and losses."""

import torch
from tests.tiny import reading_of

from chiasm.spec.reading import Losses
from chiasm.stream import MEDIA, TEXT, TokenTable

TABLE = TokenTable.text(torch.ones(2, 7, dtype=torch.bool))
RUNS = ((MEDIA, slice(0, 3)), (TEXT, slice(3, 7)))


def test_groups_are_counted_from_the_rows_own_start():
    whole = reading_of(TABLE, runs=RUNS)
    assert whole.groups == RUNS
    some = whole.on(slice(2, 6))
    assert some.groups == ((MEDIA, slice(0, 1)), (TEXT, slice(1, 4)))
    assert some.within(slice(1, 3)).rows == slice(3, 5)
    assert some.within(slice(1, 3)).groups == ((TEXT, slice(0, 2)),)


def test_identities_are_those_of_the_rows():
    source = torch.arange(14).view(2, 7)
    some = reading_of(TABLE, source=source).on(slice(2, 5))
    assert torch.equal(some.table.order, TABLE.order[:, 2:5])
    assert torch.equal(some.source, source[:, 2:5])
    assert reading_of(TABLE).table is TABLE


def test_losses_of_one_name_are_added_up():
    losses = Losses()
    assert losses.total() == 0.0
    for value in (1.0, 2.0):
        losses.add("balance", torch.tensor(value))
    losses.add("z", torch.tensor(0.5))
    assert losses.named["balance"] == 3.0 and losses.total() == 3.5
