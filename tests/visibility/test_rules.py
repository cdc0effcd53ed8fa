"""The room's rules as the tiny matrices of their docstrings: query down, key across."""

from dataclasses import replace

import pytest
import torch

from chiasm.stream import Modality, Role, Rule, TokenTable
from chiasm.visibility import (
    Causal,
    Everything,
    NamedElseEverything,
    NamedItems,
    NotRole,
    PrecedingItem,
    PromptKeys,
    PromptSeesPrompt,
    Pure,
    VisualSeesQuestion,
    Window,
    dense_mask,
    materialise,
)


def table(count: int, **columns: list[int]) -> TokenTable:
    rows = TokenTable.text(torch.ones(1, count, dtype=torch.bool))
    return replace(rows, **{name: torch.tensor([values]) for name, values in columns.items()})


def drawn(rule: Rule, rows: TokenTable, keys: TokenTable | None = None) -> list[str]:
    mask = dense_mask(rule, rows, rows if keys is None else keys)[0]
    return [" ".join("1" if cell else "." for cell in row) for row in mask.tolist()]


def test_causal():
    assert drawn(Causal(), table(4)) == ["1 . . .", "1 1 . .", "1 1 1 .", "1 1 1 1"]


def test_causal_follows_reading_order_not_storage():
    """Stored last, read first."""
    assert drawn(Causal(), table(3, order=[1, 2, 0])) == ["1 . 1", "1 1 1", ". . 1"]


def test_window():
    assert drawn(Causal() & Window(2), table(4)) == ["1 . . .", "1 1 . .", ". 1 1 .", ". . 1 1"]


def test_packed_segments_share_their_prefix():
    rows = table(4, segment=[0, 0, 1, 2])
    assert drawn(Causal(), rows) == ["1 . . .", "1 1 . .", "1 1 1 .", "1 1 . 1"]


def test_padding_is_seen_by_nobody():
    rows = replace(table(3), valid=torch.tensor([[False, True, True]]))
    assert drawn(Everything(), rows) == [". 1 1"] * 3


def test_a_role_is_hidden_from_all_but_itself():
    rows = table(3, role=[int(Role.USER), int(Role.ASSISTANT), int(Role.USER)])
    assert drawn(Causal() & NotRole(Role.ASSISTANT), rows) == ["1 . .", "1 1 .", "1 . 1"]


def test_preceding_item():
    """Rows before any image see none of the two; the others see the last before them."""
    rows, memory = table(4, item=[0, 1, 2, 2]), table(3, item=[1, 1, 2])
    assert drawn(PrecedingItem(), rows, memory) == [". . .", "1 1 .", ". . 1", ". . 1"]


def test_named_items():
    """Rows name none, the second, or both of two images, a bit each."""
    rows, memory = table(3, item=[0b00, 0b10, 0b11]), table(3, item=[0b01, 0b10, 0b10])
    assert drawn(NamedItems(), rows, memory) == [". . .", ". 1 1", "1 1 1"]
    assert drawn(NamedElseEverything(), rows, memory) == ["1 1 1", ". 1 1", "1 1 1"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (Role.TAG, ["1 . 1 . .", "1 1 1 . .", "1 1 1 . .", "1 1 1 1 .", "1 1 1 1 1"]),
        (Role.USER, ["1 . 1 1 .", "1 1 1 1 .", "1 1 1 . .", "1 1 1 1 .", "1 1 1 1 1"]),
    ],
)
def test_visual_rows_see_the_question_up_to_the_tag(tag, expected):
    """V V Q T A; with a question of two rows (T is Q), both are seen."""
    roles = [int(r) for r in (Role.USER, Role.USER, Role.USER, tag, Role.ASSISTANT)]
    rows = table(5, modality=[1, 1, 0, 0, 0], role=roles)
    assert drawn(Causal() | VisualSeesQuestion(), rows) == expected


def test_visual_rows_see_the_question_of_their_own_turn_only():
    rows = table(3, modality=[1, 0, 0], turn=[0, 0, 1])
    assert drawn(Causal() | VisualSeesQuestion(), rows)[0] == "1 1 ."


def test_one_query_that_sees_everything_needs_no_mask():
    rows, last = table(4), table(4).cut(slice(3, 4))
    permission = materialise(Causal(), last, rows)
    assert (permission.causal, permission.dense, permission.block) == (False, None, None)
    hidden = replace(rows, valid=torch.tensor([[True, False, True, True]]))
    assert materialise(Causal(), last, hidden).dense.tolist() == [[[True, False, True, True]]]


def test_plain_causal_needs_equal_queries_and_keys():
    """A copy with the same values is not recognised: only identity is cheap to be sure of. A rule
    that comes to the same on these rows is.
    """
    rows = table(4)
    assert materialise(Causal(), rows, rows).causal
    assert not materialise(Causal(), rows.cut(slice(0, 4)), rows).causal
    assert not materialise(Causal() & Window(2), rows, rows).causal
    assert materialise(Causal() & Window(9), rows, rows).causal


def test_a_prompt_sees_itself_whole():
    user, tag, said = int(Role.USER), int(Role.TAG), int(Role.ASSISTANT)
    rows = table(5, role=[user, user, tag, said, said])
    assert drawn(Causal() | PromptSeesPrompt(), rows) == [
        "1 1 1 . .",
        "1 1 1 . .",
        "1 1 1 . .",
        "1 1 1 1 .",
        "1 1 1 1 1",
    ]
    assert drawn(PromptKeys(), rows) == ["1 1 1 . ."] * 5


def test_a_modality_keeps_to_itself():
    text, image, fusion = int(Modality.TEXT), int(Modality.IMAGE), int(Modality.LEARNED)
    user, tag, said = int(Role.USER), int(Role.TAG), int(Role.ASSISTANT)
    rows = table(
        7,
        modality=[text, fusion, image, image, text, text, text],
        role=[user, user, user, user, user, tag, said],
    )
    assert drawn(Pure(), rows) == [
        "1 . . . 1 . .",
        "1 1 1 1 1 . .",
        ". . 1 1 . . .",
        ". . 1 1 . . .",
        "1 . . . 1 . .",
        "1 1 1 1 1 1 .",
        "1 1 1 1 1 1 1",
    ]
