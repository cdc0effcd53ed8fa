"""Rows gathered into contiguous runs, and put back."""

from dataclasses import replace

import pytest
import torch

from chiasm.backbone.layout import lay_out
from chiasm.stream import ALL, MEDIA, TEXT, Modality, Rows, TokenTable, groups_of
from chiasm.stream.table import take

GROUPS = groups_of([TEXT, ALL])


def table(modality: list[list[int]]) -> TokenTable:
    media = torch.tensor(modality)
    return replace(TokenTable.text(torch.ones_like(media, dtype=torch.bool)), modality=media)


def test_media_rows_come_first_each_kind_padded_to_the_longest():
    """Samples of 1 and 3 media rows among 5."""
    layout = lay_out(GROUPS, table([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]))
    assert [width for _, width in layout.groups] == [3, 4]
    real = ~layout.padding
    assert [layout.index[b][real[b]].tolist() for b in range(2)] == [
        [1, 0, 2, 3, 4],
        [0, 2, 3, 1, 4],
    ]
    assert real.tolist() == [[True, False, False, *[True] * 4], [True] * 5 + [False] * 2]


def test_runs_are_contiguous():
    layout = lay_out(GROUPS, table([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]))
    assert layout.run(MEDIA) == slice(0, 3)
    assert layout.run(TEXT) == slice(3, 7)
    assert layout.run(ALL) == slice(0, 7)


@pytest.mark.parametrize("seed", range(20))
def test_gathered_rows_come_back_to_their_places(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = table(torch.randint(0, 2, (5, 11), generator=generator).tolist())
    values = torch.randn(5, 11, 3, generator=generator)
    layout = lay_out(GROUPS, rows)
    gathered = take(values, layout.index)
    assert torch.equal(take(gathered, layout.inverse), values)
    media = rows.rows(layout.index).modality > 0
    real = ~layout.padding
    assert bool(media[:, : layout.groups[0][1]][real[:, : layout.groups[0][1]]].all())
    assert not bool(media[:, layout.groups[0][1] :][real[:, layout.groups[0][1] :]].any())
    assert int(real.sum()) == values.shape[0] * values.shape[1]


def test_rows_keep_their_places_where_nothing_is_saved():
    assert lay_out(groups_of([ALL]), table([[0, 1, 0]])).index is None
    layout = lay_out(GROUPS, table([[0, 0, 0]]))
    assert layout.index is None
    assert (layout.run(TEXT), layout.run(ALL), layout.run(MEDIA)) == (
        slice(0, 3),
        slice(0, 3),
        slice(0, 0),
    )


def test_media_alone_leaves_no_text_run():
    layout = lay_out(GROUPS, table([[1, 1]]))
    assert (layout.run(TEXT), layout.run(ALL)) == (slice(2, 2), slice(0, 2))


LATENT, LEARNED = Rows.of(Modality.LATENT), Rows.of(Modality.LEARNED)


def test_three_groups_are_stored_one_after_the_other():
    rows = table([[0, 6, 1, 0, 6], [1, 1, 6, 0, 0]])
    layout = lay_out(groups_of([TEXT, LATENT]), rows)
    gathered = rows.modality.gather(1, layout.index).masked_fill(layout.padding, -1)
    assert layout.run(LATENT) == slice(2, 4) and layout.run(TEXT) == slice(4, 6)
    assert gathered.tolist() == [[1, -1, 6, 6, 0, 0], [1, 1, 6, -1, 0, 0]]


def test_sets_that_overlap_are_runs_of_groups():
    groups = groups_of([TEXT | LATENT, LATENT | LEARNED, TEXT])
    rows = table([[1, 7, 6, 0, 2]])
    layout = lay_out(groups, rows)
    for wanted in (TEXT | LATENT, LATENT | LEARNED, TEXT, MEDIA & ~LATENT & ~LEARNED):
        held = rows.modality.gather(1, layout.index)[:, layout.run(wanted)]
        assert bool(wanted.holds(held).all()) and held.shape[1] == int(wanted.select(rows).sum())


def test_sets_that_no_order_makes_contiguous_are_refused():
    one, two, three = (Rows.of(m) for m in (Modality.IMAGE, Modality.VIDEO, Modality.AUDIO))
    with pytest.raises(ValueError, match="contiguous"):
        groups_of([one | two, two | three, three | one, one | TEXT, two | TEXT])
