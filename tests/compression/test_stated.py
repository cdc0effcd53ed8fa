"""Methods as text."""

import pytest

from chiasm.compression.method import HostShape
from chiasm.compression.methods.controls import RandomTokens, UniformTokens
from chiasm.compression.methods.fastv import FastV
from chiasm.compression.stated import stated_methods, together
from chiasm.errors import Misuse

SHAPE = HostShape(depth=10, first=1, blocks=7, class_token=True)


def test_text_is_methods_with_their_settings():
    assert stated_methods("fastv:keep=0.5,layer=3") == (FastV(keep=0.5, layer=3),)
    found = stated_methods(" random : keep = 0.5 , seed=7 + uniform:keep=1")
    assert found == (RandomTokens(keep=0.5, seed=7), UniformTokens(keep=1))


def test_methods_together_run_by_site():
    found = together(stated_methods("fastv:keep=0.5+uniform:keep=0.5"), SHAPE)
    assert [one.site.layer for one in found] == [0, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope:keep=0.3", "unknown compression method 'nope'"),
        ("fastv", "fastv: name a method and the share"),
        ("fastv:layer=2", "name a method and the share"),
        ("fastv:keep=half", "name a method and the share"),
        ("fastv:keep=0.3,keep=0.4", "keep is given twice"),
        ("fastv:0.3", "'0.3' is no key=value"),
        ("fastv:keep=0", r"keep=0 is not in \(0, 1\]"),
        ("fastv:keep=0.3,depth=2", "unexpected keyword argument 'depth'"),
        ("fastv:keep=0.3+", "an empty method"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, said):
    with pytest.raises(Misuse, match=said) as refused:
        stated_methods(text)
    assert "\n" not in str(refused.value)
