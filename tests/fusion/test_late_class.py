"""Which layer does what with a picture that enters late."""

import pytest
import torch

from chiasm.fusion import LateClassTokens
from chiasm.fusion.late_class import WORDS
from chiasm.stream import ALL, RowPlan

LATE = LateClassTokens(first=3, last=9, levels=3, prompts=5)


def test_plans_before_among_and_behind_the_levels() -> None:
    plans = [LATE.plan(layer) for layer in range(11)]
    assert plans[:3] == [RowPlan(WORDS, WORDS, WORDS, WORDS)] * 3
    assert plans[3:8] == [RowPlan(WORDS, ALL, WORDS, WORDS)] * 5
    assert plans[8:] == [RowPlan()] * 3
    assert LATE.step == 2 and LATE.placeholders(3) == 6


@pytest.mark.parametrize(("levels", "prompts"), [(3, 5), (7, 2), (6, 0), (4, 3)])
def test_sources_name_picture_and_row(levels: int, prompts: int) -> None:
    """As geometry counts them: a picture's last rows stand for its last tokens."""
    fusion = LateClassTokens(first=1, last=1 + levels, levels=levels, prompts=prompts)
    rows = fusion.placeholders(levels)
    each, first = max(levels, rows), max(0, levels - rows)
    for picture in range(3):
        source = torch.arange(picture * each + first, picture * each + first + rows)
        found, row = fusion.place(source)
        assert found.tolist() == [picture] * rows and row.tolist() == list(range(rows))


@pytest.mark.parametrize("wrong", [{"levels": 4}, {"last": 3}, {"first": 0}])
def test_levels_share_the_layers_evenly(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="layer"):
        LateClassTokens(**{"first": 3, "last": 9, "levels": 3, "prompts": 5, **wrong})
