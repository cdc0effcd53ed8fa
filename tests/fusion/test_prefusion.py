"""The fused row of LLaVA-Mini: its order, its positions, by hand."""

from dataclasses import replace

import torch

from chiasm.fusion import PreFusion
from chiasm.fusion.prefusion import fused_table
from chiasm.lineages.hosts import NANO
from chiasm.spec.work import Reads
from chiasm.stream import Memory, TokenTable


def tables() -> tuple[Memory, TokenTable]:
    """Three patches; text, a kept token, text, text. The second sample: two patches, no kept token,
    and its last row is padding.
    """
    patches = TokenTable.text(torch.tensor([[1, 1, 1], [1, 1, 0]]).bool())
    rows = TokenTable.text(torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool())
    rows = replace(rows, modality=torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]))
    return Memory(torch.zeros(2, 3, 5), patches), rows


def test_reading_order_is_patches_kept_tokens_text():
    table = fused_table(*tables())
    assert table.shape == (2, 7)
    order = table.order[0].tolist()
    read = sorted(range(7), key=order.__getitem__)
    # Rows 0 to 2 are patches, 4 is the kept token, the others text.
    assert read == [0, 1, 2, 4, 3, 5, 6]
    assert len(set(order)) == 7


def test_positions_run_on_without_a_gap():
    """Text keeps its distances: the kept token moves to the front and closes its gap."""
    position = fused_table(*tables()).position[..., 0]
    assert position[0].tolist() == [0, 1, 2, 4, 3, 5, 6]
    assert position[1, :2].tolist() == [0, 1]
    assert position[1, 3:6].tolist() == [2, 3, 4]


def test_padding_stays_padding():
    memory, rows = tables()
    table = fused_table(memory, rows)
    assert torch.equal(table.valid, torch.cat([memory.table.valid, rows.valid], 1))


def test_the_bill_is_done_once_over_the_fused_row():
    work = PreFusion(layers=2).work(NANO, 5, 3, NANO.width)
    assert all(w.once for w in work)
    attending = [w for w in work if w.name == "pre-fusion attention"]
    assert [w.macs for w in attending] == [2 * 8 * 8 * NANO.heads * NANO.head_width] * 2
    assert all(w.reads is Reads.FUSED for w in attending)
