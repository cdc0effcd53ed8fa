"""Image codes enter by a table."""

import torch

from chiasm.connectors import CodeEmbedding
from chiasm.stream import Features


def test_a_code_is_a_row_of_the_table():
    connector = CodeEmbedding(codes=11, initial_std=0.1).build(1, 7)
    codes = torch.tensor([[3, 0, 10, 3]])
    got = connector.connect(Features(codes.float().unsqueeze(-1), (2, 2))).embeddings
    assert torch.equal(got, connector.table.weight[codes])
    assert sum(p.numel() for p in connector.parameters()) == 11 * 7
