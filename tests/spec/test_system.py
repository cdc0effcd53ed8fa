"""Systems as values: derivation, differences, and what a value refuses."""

from dataclasses import replace

import pytest

from chiasm.errors import Misuse
from chiasm.fusion import InSequence, NoFusion, VisualPath
from chiasm.lineages.hosts import NANO
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.objectives import NextToken
from chiasm.spec import Scale, Stage, Teaching, derive, differences, scale_named


def test_derive_replaces_everywhere_then_at_one_scale():
    base = dict(VISION_LANGUAGE)
    path = InSequence(VisualPath.FFN)
    made = derive(base, every=dict(fusion=path, template="a"), nano=dict(template="b"))
    assert all(answers.fusion == path for answers in made.values())
    assert made[Scale.NANO].template == "b"
    assert made[Scale.PAPER].template == "a"
    assert base[Scale.NANO].fusion == InSequence()


def test_differences_name_only_what_differs():
    parent = VISION_LANGUAGE[Scale.NANO]
    child = replace(parent, fusion=NoFusion())
    assert differences(child, parent) == {"fusion": (parent.fusion, child.fusion)}
    assert differences(parent, parent) == {}


def test_scales_go_by_name():
    assert scale_named("paper") is Scale.PAPER
    with pytest.raises(Misuse, match="unknown scale 'large'; choose nano, smol, paper"):
        scale_named("large")


def test_heads_that_cannot_share_keys_are_refused():
    with pytest.raises(ValueError, match="7 query heads cannot share 3 key heads"):
        replace(NANO, heads=7, kv_heads=3)


def test_windows_must_be_given_for_every_layer():
    with pytest.raises(ValueError, match="2 window lengths given for 3 layers"):
        replace(NANO, windows=(4, 4))
    windowed = replace(NANO, windows=(4, None, 5))
    assert [windowed.window(layer) for layer in range(3)] == [4, None, 5]
    assert NANO.window(1) is None


def test_shares_of_stages_sum_to_one():
    stage = Stage(name="one", trained=("head",), learning_rate=1.0, share=0.4)
    with pytest.raises(ValueError, match=r"2 stages sum to 0\.8, not 1"):
        Teaching(objective=NextToken(), stages=(stage, stage))
