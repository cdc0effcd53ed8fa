"""Laws of rules: every form of a rule is the same rule, and composition is set algebra."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import close, every, tiny
from torch.nn.attention.flex_attention import create_mask

from chiasm.layers import attend
from chiasm.spec import registered
from chiasm.stream import Role, Rule, TokenTable, as_mask
from chiasm.visibility import (
    BeforeItem,
    Causal,
    Everything,
    InUnit,
    ItemsSoFar,
    NotRole,
    OwnTile,
    OwnUnit,
    PrecedingItem,
    SameSegment,
    VisualSeesQuestion,
    Window,
    block_mask,
    dense_mask,
    dense_permission,
    materialise,
)

ROOM: tuple[Rule, ...] = (
    BeforeItem(),
    Causal(),
    Everything(),
    InUnit(1),
    ItemsSoFar(),
    NotRole(Role.ASSISTANT),
    OwnTile(),
    OwnUnit(),
    PrecedingItem(),
    SameSegment(),
    VisualSeesQuestion(),
    Window(3),
    Causal() & Window(4),
    Causal() | VisualSeesQuestion(),
)


def named(rules: dict[str, Rule]) -> list:
    return [pytest.param(rule, id=name) for name, rule in rules.items()]


def rules() -> list:
    """The room's members, and what the registered systems make of them, plans included."""
    found = {str(rule): rule for rule in ROOM}
    for slug in registered():
        answers = tiny(slug)
        for rule in (answers.visibility.sequence, answers.visibility.memory):
            found[str(rule)] = rule
        for layer in range(answers.host.depth):
            planned = as_mask(answers.fusion.plan(layer), answers.visibility.sequence.at(layer))
            found[f"{slug}-planned-{layer}"] = planned
    return named(found)


def table(seed: int, rows: int = 11, batch: int = 3) -> TokenTable:
    """Rows of random identities, in shuffled reading order."""
    generator = torch.Generator().manual_seed(seed)

    def column(high: int) -> torch.Tensor:
        return torch.randint(0, high, (batch, rows), generator=generator)

    order = torch.stack([torch.randperm(rows, generator=generator) for _ in range(batch)])
    plain = TokenTable.text(column(5) > 0)
    return replace(
        plain,
        modality=column(2),
        item=column(3),
        unit=column(3),
        turn=column(2),
        role=column(4),
        segment=column(3),
        order=order,
    )


@pytest.mark.parametrize("rule", rules())
def test_block_mask_is_the_dense_mask(rule):
    queries, keys = table(1), table(2, rows=17)
    for q, k in ((queries, keys), (keys, keys), (keys, queries)):
        block = block_mask(rule, q, k)
        dense = dense_mask(rule, q, k)
        batch, heads = q.shape[0], 1
        made = create_mask(block.mask_mod, batch, heads, q.shape[1], k.shape[1], device="cpu")
        assert torch.equal(made[:, 0], dense)


@pytest.mark.parametrize("rule", rules())
def test_what_never_looks_ahead_permits_no_later_row(rule):
    rows = table(3, rows=13)
    permitted = dense_mask(rule, rows, rows)
    later = rows.order.unsqueeze(1) > rows.order.unsqueeze(2)
    if not rule.looks_ahead:
        assert not bool((permitted & later).any())


@pytest.mark.parametrize("rule", rules())
def test_padding_and_other_segments_are_never_permitted(rule):
    rows = table(4)
    permitted = dense_mask(rule, rows, rows)
    assert not bool(permitted[(~rows.valid).unsqueeze(1).expand_as(permitted)].any())
    apart = (rows.segment.unsqueeze(2) != rows.segment.unsqueeze(1)) & (
        rows.segment.unsqueeze(1) != 0
    )
    assert not bool(permitted[apart].any())


@pytest.mark.parametrize("right", ROOM, ids=str)
@pytest.mark.parametrize("left", ROOM, ids=str)
def test_composition_is_set_algebra(left, right):
    q, k = table(5), table(6)
    base = dense_mask(Everything(), q, k)
    a, b = dense_mask(left, q, k), dense_mask(right, q, k)
    assert torch.equal(dense_mask(left & right, q, k), a & b)
    assert torch.equal(dense_mask(left | right, q, k), a | b)
    assert torch.equal(dense_mask(~left, q, k), base & ~a)
    assert torch.equal(dense_mask(~(left & right), q, k), dense_mask(~left | ~right, q, k))


def plain_table(kind: str) -> TokenTable:
    rows = TokenTable.text(torch.ones(2, 7, dtype=torch.bool))
    if kind == "right":
        return replace(rows, valid=torch.arange(7).expand(2, 7) < torch.tensor([[7], [4]]))
    if kind == "left":
        return replace(rows, valid=torch.arange(7).expand(2, 7) >= torch.tensor([[0], [3]]))
    if kind == "packed":
        return replace(rows, segment=torch.tensor([[0, 0, 1, 1, 2, 2, 2]] * 2))
    if kind == "shuffled":
        return replace(rows, order=torch.tensor([[3, 0, 1, 6, 2, 5, 4]] * 2))
    return rows


@pytest.mark.parametrize("kind", ["whole", "right", "left", "packed", "shuffled"])
def test_recognised_forms_attend_as_the_dense_mask_does(kind):
    rows = plain_table(kind)
    q, k, v = (
        torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(n)) for n in range(3)
    )
    cheap, dense = materialise(Causal(), rows, rows), dense_permission(Causal(), rows, rows)
    assert cheap.causal == (kind in ("whole", "right"))
    got, expected = attend(q, k, v, cheap), attend(q, k, v, dense)
    mask = rows.valid[:, None, :, None].expand_as(got)
    close(got[mask], expected[mask], 1e-6)


@pytest.mark.parametrize("slug", every())
def test_a_layers_rule_is_the_rule_at_that_layer(slug):
    rule, rows = tiny(slug).visibility.sequence, table(7)
    for layer in range(3):
        composed = (rule & Window(3)).at(layer)
        expected = dense_mask(rule.at(layer), rows, rows) & dense_mask(Window(3), rows, rows)
        assert torch.equal(dense_mask(composed, rows, rows), expected)
