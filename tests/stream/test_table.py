"""The token table and the inputs that carry it."""

from dataclasses import replace

import torch

from chiasm.stream import ALL, MEDIA, NONE, TEXT, Inputs, Role, RowPlan, TokenTable
from chiasm.stream.table import take


def table(valid: list[list[int]]) -> TokenTable:
    return TokenTable.text(torch.tensor(valid).bool())


def test_positions_of_text_count_the_valid_rows():
    """Left padding shares position 0 with the first row; reading order counts places."""
    rows = table([[1, 1, 1, 0], [0, 0, 1, 1]])
    assert rows.position[..., 0].tolist() == [[0, 1, 2, 2], [0, 0, 0, 1]]
    assert rows.position.dtype == torch.float32
    assert rows.order.tolist() == [[0, 1, 2, 3]] * 2
    assert rows.role.unique().tolist() == [int(Role.USER)]
    assert rows.shape == (2, 4)


def test_rows_are_picked_by_sample():
    rows = replace(table([[1, 1, 0], [1, 0, 1]]), item=torch.tensor([[5, 6, 7], [8, 9, 10]]))
    picked = rows.rows(torch.tensor([[2, 0], [1, 1]]))
    assert picked.item.tolist() == [[7, 5], [9, 9]]
    assert picked.valid.tolist() == [[False, True], [False, False]]
    assert picked.place.shape == (2, 2, 3)


def test_cut_and_append_are_inverse():
    rows = replace(table([[1, 1, 0, 1, 1]]), item=torch.arange(5).unsqueeze(0))
    again = rows.cut(slice(0, 2)).append(rows.cut(slice(2, None)))
    for name, column in rows.columns():
        assert torch.equal(getattr(again, name), column), name


def test_hiding_only_takes_validity_away():
    rows = table([[1, 0, 1]])
    hidden = rows.hiding(torch.tensor([[True, False, False]]))
    assert hidden.valid.tolist() == [[False, False, True]]
    assert hidden.order is rows.order


def test_take_reads_rows_of_matrices_and_vectors():
    values = torch.arange(12.0).view(2, 3, 2)
    index = torch.tensor([[2, 0], [1, 1]])
    assert take(values, index).tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]
    assert take(values[..., 0], index).tolist() == [[4, 0], [8, 8]]


def test_row_sets_select_by_modality():
    rows = replace(table([[1, 1, 1]]), modality=torch.tensor([[0, 2, 1]]))
    assert ALL.select(rows).tolist() == [[True, True, True]]
    assert TEXT.select(rows).tolist() == [[True, False, False]]
    assert MEDIA.select(rows).tolist() == [[False, True, True]]
    assert NONE.select(rows).tolist() == [[False, False, False]]


def test_a_plan_is_complete_when_every_row_does_everything():
    assert RowPlan().complete
    assert not RowPlan(feed_forward=TEXT).complete
    assert RowPlan(query=TEXT).sets() == (TEXT, ALL, ALL, ALL)


def test_inputs_move_with_everything_they_hold():
    rows = table([[1, 1]])
    inputs = Inputs(
        ids=torch.zeros(1, 2, dtype=torch.long), table=rows, source=torch.tensor([[-1, 0]])
    )
    moved = inputs.to("meta")
    assert moved.ids.is_meta and moved.table.valid.is_meta and moved.source.is_meta
    assert moved.images is None and moved.memory is None
