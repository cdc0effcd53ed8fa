"""A visual vocabulary: mixtures of a table's rows, and marks around them."""

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import VisualTable
from chiasm.connectors.visual_table import Choice
from chiasm.errors import Misuse
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 7, 11, (3, 5)
ANSWERS = [
    VisualTable(vocabulary=13),
    VisualTable(vocabulary=17, indicators=3, stride=2),
    VisualTable(vocabulary=13, choice="argmax"),
]
each_answer = pytest.mark.parametrize("answer", ANSWERS, ids=str)


def features(grad: bool = False) -> Features:
    tokens = 3 * torch.randn(2, GRID[0] * GRID[1], WIDTH)
    return Features(tokens.requires_grad_(grad), GRID)


@each_answer
def test_tokens_are_mixtures_of_the_tables_rows(answer: VisualTable) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    given = features()
    chosen, out = connector.chosen(given), connector.connect(given).embeddings
    rows = connector.table.weight
    assert chosen.shape[-1] == answer.words == answer.vocabulary - answer.indicators
    torch.testing.assert_close(chosen.sum(-1), torch.ones(chosen.shape[:2]))
    assert (chosen > -1e-6).all()
    assert out.shape == (2, answer.count(GRID), answer.width(WIDTH, HOST_WIDTH))
    behind = answer.indicators - 1
    slow = torch.einsum("nbk,kd->nbd", chosen, rows[: answer.words])
    torch.testing.assert_close(out[:, 1 : out.shape[1] - behind], slow)
    assert torch.equal(out[0, 0], rows[answer.words])
    assert torch.equal(out[1, out.shape[1] - behind :], rows[answer.words + 1 :])


def test_argmax_is_a_table_lookup_with_the_gradient_of_softmax() -> None:
    soft, hard = (VisualTable(vocabulary=13, choice=choice) for choice in ("softmax", "argmax"))
    one, other = soft.build(WIDTH, HOST_WIDTH), hard.build(WIDTH, HOST_WIDTH)
    other.load_state_dict(one.state_dict())
    given = features(grad=True)
    out = other.connect(given).embeddings[:, 1:-1]
    looked_up = other.table(one.chosen(given).argmax(-1))
    torch.testing.assert_close(out, looked_up)
    gradients = [
        torch.autograd.grad((model.chosen(given) * torch.arange(11)).sum(), given.tokens)[0]
        for model in (one, other)
    ]
    torch.testing.assert_close(*gradients)


def test_a_part_of_a_block_is_filled_with_zeros() -> None:
    answer = ANSWERS[1]
    connector, given = answer.build(WIDTH, HOST_WIDTH), features()
    maps = torch.zeros(2, 4, 6, WIDTH)
    maps[:, :3, :5] = given.tokens.unflatten(1, GRID)
    whole = Features(maps.flatten(1, 2), (4, 6))
    assert answer.count(GRID) == answer.count((4, 6)) == 6 + 3
    torch.testing.assert_close(
        connector.connect(given).embeddings, connector.connect(whole).embeddings
    )


@each_answer
def test_work_equals_the_operator_count(answer: VisualTable) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, 15, WIDTH), GRID)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(work.macs for work in answer.work(GRID, WIDTH, HOST_WIDTH)) == counted


def test_the_published_sizes() -> None:
    """CLIP-L/336 and a 7B host: 576 + 2 tokens, head and table as the paper's code has them."""
    answer = VisualTable(vocabulary=131_072)
    with torch.device("meta"):
        connector = answer.build(1024, 4096)
    assert answer.count((24, 24)) == 578
    assert sum(p.numel() for p in (*connector.head.parameters(), *connector.norm.parameters())) == (
        134_477_820
    )
    assert connector.table.weight.numel() == 536_870_912


@pytest.mark.parametrize(
    ("indicators", "choice", "said"), [(13, "softmax", "13 indicators"), (2, "gumbel", "'gumbel'")]
)
def test_impossible_answers_are_refused(indicators: int, choice: Choice, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        VisualTable(vocabulary=13, indicators=indicators, choice=choice)
