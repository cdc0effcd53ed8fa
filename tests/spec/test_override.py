import pytest
from tests.training.toy import toy

from chiasm.errors import Misuse
from chiasm.fusion import InSequence, VisualPath
from chiasm.spec.override import override

ANSWERS = toy().at("nano")


def test_values_are_replaced_at_any_depth() -> None:
    found = override(
        ANSWERS,
        [
            "host.width=26",
            "teaching.stages.0.learning_rate=1",
            "teaching.stages.0.trained=('decoder',)",
            "fusion.visual_path=ffn",
            "host.weights=None",
        ],
    )
    assert found.host.width == 26
    assert found.teaching.stages[0].learning_rate == 1.0
    assert isinstance(found.teaching.stages[0].learning_rate, float)
    assert found.teaching.stages[0].trained == ("decoder",)
    assert found.fusion == InSequence(VisualPath.FFN)
    assert found.encoder == ANSWERS.encoder
    assert ANSWERS.host.width == 22


def test_values_that_are_checked_together_arrive_together() -> None:
    found = override(ANSWERS, ["host.heads=4", "host.kv_heads=2"])
    assert (found.host.heads, found.host.kv_heads) == (4, 2)


def test_nothing_set_is_the_same_value() -> None:
    assert override(ANSWERS, []) is ANSWERS


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("host.width", "write a field and a value"),
        ("=3", "write a field and a value"),
        ("host.wdith=3", "Host has no 'wdith'; it has vocabulary, width"),
        ("hots.width=3", "Answers has no 'hots'"),
        ("host.width=wide", "not of type int"),
        ("host.width=2.5", "not of type int"),
        ("host.tied_head=1", "not of type bool"),
        ("host=3", "Host is set by its fields"),
        ("teaching.stages.3.batch=2", "has no '3'; it has 0"),
        ("host.heads=5.x", "not of type int"),
        ("host.width.x=1", "int has no 'x'; it has no fields"),
        ("host.kv_heads=2", "3 query heads cannot share 2 key heads"),
        ("fusion.visual_path=scenic", "choose full, ffn, diag"),
    ],
)
def test_what_cannot_be_set_says_what_can(setting: str, message: str) -> None:
    with pytest.raises(Misuse, match=message) as refusal:
        override(ANSWERS, [setting])
    assert "\n" not in str(refusal.value)


def test_a_whole_and_its_part_are_refused() -> None:
    with pytest.raises(Misuse, match="set as a whole too"):
        override(ANSWERS, ["host.rope_sections=(3,)", "host.rope_sections.0=2"])
