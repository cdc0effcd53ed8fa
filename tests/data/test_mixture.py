"""Data sets taught together: each as often as it is asked for."""

from collections import Counter

import pytest

from chiasm.data import load
from chiasm.errors import Misuse


def sources(name: str) -> Counter[str]:
    return Counter(example.id.split("/")[0] for example in load(name, "test"))


def test_parts_come_as_often_as_asked() -> None:
    alone = sources("charts")["charts"]
    found = sources("charts:2.5+lookups:0.1+scenes-captions")
    assert found["charts"] == round(2.5 * alone)
    assert found["lookups"] == round(0.1 * sources("lookups")["lookups"])
    assert found["scenes-captions"] == sources("scenes-captions")["scenes-captions"]
    assert max(Counter(example.id for example in load("charts:2.5", "test")).values()) == 3


def test_it_is_the_same_each_time() -> None:
    name = "charts:0.3+lookups:0.2"
    assert load(name, "test").examples == load(name, "test").examples
    assert load(name, "test").name == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("charts+", "without a name"),
        ("charts:often", "'often' is no number of times"),
        ("charts:0", "'0' is no number"),
        ("charts:-1", "'-1' is no number"),
        ("charts:inf", "'inf' is no number"),
        ("charts:nan", "'nan' is no number"),
        ("charts+chart", "unknown data set 'chart'; did you mean charts"),
    ],
)
def test_nonsense_is_refused(name: str, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        load(name, "test")
