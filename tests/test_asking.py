"""What a connector is told of a prompt, turn by turn."""

from dataclasses import replace

import torch
from tests.tiny import Picture, batch, said, tiny_answers

from chiasm.asking import last_prompt_rows
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import NativeResolution, Scale
from chiasm.stream import Role

ANSWERS = tiny_answers(VISION_LANGUAGE[Scale.NANO])


def turn(number: int, seed: int, *pictures: int) -> tuple:
    """A question about some pictures, its tag and its answer."""
    question = said(2 + number, seed)
    shown = [Picture(each, 24, 40) for each in pictures]
    tag, answer = said(1, seed + 1, Role.TAG), said(3, seed + 2, Role.ASSISTANT)
    pieces = (*shown, question, tag, answer)
    return tuple(replace(piece, turn=number) for piece in pieces)


def tags(inputs, sample) -> list[int]:
    """The places of a sample's tags, turn by turn."""
    return (inputs.table.role[sample] == int(Role.TAG)).nonzero().flatten().tolist()


def test_each_image_has_the_last_prompt_row_of_its_own_turn():
    samples = [
        (*turn(0, 1, 1), *turn(1, 4), *turn(2, 7, 2, 3)),
        (*turn(0, 10), *turn(1, 13, 4)),
        turn(0, 16, 5),
    ]
    for side in ("right", "left"):
        inputs = batch(ANSWERS, samples, side=side)
        rows = last_prompt_rows(inputs)
        assert rows.shape == inputs.owners.shape == (3, 3)
        first, second, third = (tags(inputs, n) for n in range(3))
        assert len(first) == 3 and len(second) == 2 and len(third) == 1
        assert rows[0].tolist() == [first[0], first[2], first[2]]
        assert int(rows[1, 0]) == second[1] and int(rows[2, 0]) == third[0]


def test_views_of_one_image_share_its_row():
    views = NativeResolution(longest=40, shortest=16, split=True)
    answers = replace(ANSWERS, views=views)
    inputs = batch(answers, [(*turn(0, 1, 1), *turn(1, 4, 2)), turn(0, 7, 3)])
    assert inputs.owners.shape == (2, 10)
    rows, [one, other] = last_prompt_rows(inputs), tags(inputs, 0)
    assert rows[0].tolist() == [one] * 5 + [other] * 5
    assert set(rows[1, :5].tolist()) == set(tags(inputs, 1))


def test_rows_may_be_stored_in_any_order():
    inputs = batch(ANSWERS, [(*turn(0, 1, 1), *turn(1, 4, 2))])
    order = torch.randperm(inputs.ids.shape[1], generator=torch.Generator().manual_seed(0))
    moved = replace(inputs, table=inputs.table.rows(order.unsqueeze(0)))
    assert torch.equal(order[last_prompt_rows(moved)[0]], last_prompt_rows(inputs)[0])
