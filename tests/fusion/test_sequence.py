"""In the sequence: an image's tokens are rows, and the path says which work they do."""

import pytest

from chiasm.fusion import InSequence, NoFusion, VisualPath
from chiasm.lineages.hosts import NANO
from chiasm.stream import ALL, TEXT, RowPlan


@pytest.mark.parametrize(
    ("path", "plan"),
    [
        (VisualPath.FULL, RowPlan()),
        (VisualPath.FFN, RowPlan(query=TEXT, key_value=ALL, output=TEXT, feed_forward=ALL)),
        (VisualPath.DIAG, RowPlan(query=TEXT, key_value=ALL, output=ALL, feed_forward=ALL)),
    ],
)
def test_the_path_is_a_row_plan(path, plan):
    assert InSequence(path).plan(0) == plan


def test_a_path_may_be_named_as_text():
    assert InSequence("diag").plan(0) == InSequence(VisualPath.DIAG).plan(0)
    with pytest.raises(ValueError, match="sideways"):
        _ = InSequence("sideways").plan(0)


def test_every_token_is_a_row_and_nothing_else_costs():
    fusion = InSequence()
    assert [fusion.placeholders(count) for count in (0, 1, 576)] == [0, 1, 576]
    assert fusion.work(NANO, 64, 576, 128) == ()
    assert fusion.cached(NANO, 576) == 0
    assert not fusion.reads_memory


def test_without_fusion_nothing_enters():
    fusion = NoFusion()
    assert fusion.placeholders(576) == 0
    assert fusion.plan(0).complete and not fusion.reads_memory
