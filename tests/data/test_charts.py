"""Charts: what is asked is drawn, and no answer is given away by the words."""

from collections import Counter

import numpy as np

from chiasm.data import charts
from chiasm.data.charts import HIGHEST, Chart
from chiasm.data.scene import COLORS


def heights(chart: Chart) -> dict[str, int]:
    """Rows of each colour, as the picture shows them."""
    pixels = np.asarray(chart.draw())
    return {
        name: int((pixels == ink).all(-1).any(1).sum())
        for name, ink in COLORS.items()
        if (pixels == ink).all(-1).any()
    }


def test_bars_are_as_high_as_they_are_said_to_be() -> None:
    for example in charts.load("test", count=41):
        [chart] = example.images
        assert isinstance(chart, Chart)
        seen = heights(chart)
        assert set(seen) == {color for _, _, color in chart.bars}
        unit = [seen[color] / value for _, value, color in chart.bars]
        assert max(unit) - min(unit) < 1.5
        count, value, stands, highest = example.turns
        assert count.answer == str(len(seen))
        named = {name: (height, color) for name, height, color in chart.bars}
        assert str(named[value.question.split()[-1].rstrip("?")][0]) == value.answer
        assert named[stands.answer][1] == stands.question.split()[3]
        assert seen[named[highest.answer][1]] == max(seen.values())


def test_answers_are_spread() -> None:
    values = Counter(example.turns[1].answer for example in charts.load("train", count=900))
    assert len(values) == HIGHEST and max(values.values()) < 2 * min(values.values())


def test_splits_and_counts() -> None:
    assert charts.load("test", count=7).examples == charts.load("test", count=19).examples[:7]
    drawn = {str(example.images[0]) for example in charts.load("train", count=500)}
    assert len({str(e.images[0]) for e in charts.load("test", count=50)} & drawn) < 5
