"""Rows gathered into contiguous runs, and put back."""

from dataclasses import replace

import pytest
import torch

from chiasm.backbone.layout import lay_out
from chiasm.stream import ALL, MEDIA, TEXT, RowPlan, TokenTable
from chiasm.stream.table import take

PLAN = RowPlan(query=TEXT, output=TEXT)


def table(modality: list[list[int]]) -> TokenTable:
    media = torch.tensor(modality)
    return replace(TokenTable.text(torch.ones_like(media, dtype=torch.bool)), modality=media)


def test_media_rows_come_first_each_kind_padded_to_the_longest():
    """Samples of 1 and 3 media rows among 5."""
    layout = lay_out(PLAN, table([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]))
    assert (layout.media, layout.text) == (3, 4)
    real = ~layout.padding
    assert [layout.index[b][real[b]].tolist() for b in range(2)] == [
        [1, 0, 2, 3, 4],
        [0, 2, 3, 1, 4],
    ]
    assert real.tolist() == [[True, False, False, *[True] * 4], [True] * 5 + [False] * 2]


def test_runs_are_contiguous():
    layout = lay_out(PLAN, table([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]))
    assert layout.run(MEDIA) == slice(0, 3)
    assert layout.run(TEXT) == slice(3, 7)
    assert layout.run(ALL) == slice(0, 7)


@pytest.mark.parametrize("seed", range(20))
def test_gathered_rows_come_back_to_their_places(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = table(torch.randint(0, 2, (5, 11), generator=generator).tolist())
    values = torch.randn(5, 11, 3, generator=generator)
    layout = lay_out(PLAN, rows)
    gathered = take(values, layout.index)
    assert torch.equal(take(gathered, layout.inverse), values)
    media = rows.rows(layout.index).modality > 0
    real = ~layout.padding
    assert bool(media[:, : layout.media][real[:, : layout.media]].all())
    assert not bool(media[:, layout.media :][real[:, layout.media :]].any())
    assert int(real.sum()) == values.shape[0] * values.shape[1]


def test_rows_keep_their_places_where_nothing_is_saved():
    assert lay_out(RowPlan(), table([[0, 1, 0]])).index is None
    layout = lay_out(PLAN, table([[0, 0, 0]]))
    assert layout.index is None
    assert (layout.run(TEXT), layout.run(ALL), layout.run(MEDIA)) == (
        slice(0, 3),
        slice(0, 3),
        slice(0, 0),
    )


def test_media_alone_leaves_no_text_run():
    layout = lay_out(PLAN, table([[1, 1]]))
    assert (layout.run(TEXT), layout.run(ALL)) == (slice(2, 2), slice(0, 2))
