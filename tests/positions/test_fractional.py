"""Fractional steps, counted by hand and against the equation row by row."""

import random
from dataclasses import replace
from math import ceil

import pytest
import torch

from chiasm.positions import Fractional, Sequential
from chiasm.positions.fractional import WHOLE
from chiasm.stream import SHARED, Modality, TokenTable

TEXT, IMAGE = int(Modality.TEXT), int(Modality.IMAGE)


def table(kinds: list[tuple[int, int]], segment: list[int] | None = None) -> TokenTable:
    """Rows by (modality, item), numbered one by one; segments go on from the shared rows."""
    rows = TokenTable.text(torch.ones(1, len(kinds), dtype=torch.bool))
    modality, item = (torch.tensor([column]) for column in zip(*kinds, strict=True))
    rows = replace(rows, modality=modality, item=item)
    if segment is None:
        return rows
    shared, order, seen = segment.count(SHARED), [], dict[int, int]()
    for one in segment:
        base = 0 if one == SHARED else shared
        order.append(base + seen.get(one, 0))
        seen[one] = seen.get(one, 0) + 1
    places = torch.tensor([order])
    position = places.float().unsqueeze(-1)
    return replace(rows, segment=torch.tensor([segment]), order=places, position=position)


def slowly(kinds: list[tuple[int, int]], steps: dict[int, int]) -> list[float]:
    """One row after another, as the paper writes it: p + k d, then ceil + 1."""
    out: list[float] = []
    last, k, before = -1.0, 0, (TEXT, 0)
    for kind in kinds:
        if kind[0] == TEXT:
            here = float(ceil(last) + 1)
        else:
            if before != kind:
                p, k = ceil(last), 0
            k += 1
            here = p + k * steps[kind[1]] / WHOLE
        out.append(here)
        last, before = here, kind
    return out


def drawn_rows(number: int) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """A random mix of words and pictures, neighbouring pictures among them."""
    draw = random.Random(number)
    kinds: list[tuple[int, int]] = []
    items = 0
    for _ in range(7):
        if draw.random() < 0.5:
            kinds += [(TEXT, items)] * draw.randint(1, 4)
        else:
            items += 1
            kinds += [(IMAGE, items)] * draw.randint(1, 37)
    return kinds, {item: draw.choice((1, 2, 3, 16, 100, 255, 256)) for item in range(1, items + 1)}


@pytest.mark.parametrize("number", range(11))
def test_a_fixed_step_is_the_equation(number: int) -> None:
    kinds, _ = drawn_rows(number)
    for step in (1, 3, 16, 100, 255, 256):
        found = Fractional(fixed=step).number(table(kinds)).position
        assert found.dtype == torch.float32 and found.shape == (1, len(kinds), 1)
        expected = slowly(kinds, dict.fromkeys(range(1, 9), step))
        assert found[0, :, 0].tolist() == expected
        assert bool((found.diff(dim=1) > 0).all())


@pytest.mark.parametrize("number", range(11))
def test_whole_steps_are_the_plain_numbering(number: int) -> None:
    rows = table(drawn_rows(number)[0])
    found = Fractional(fixed=256).number(rows).position
    assert torch.equal(found, Sequential().number(rows).position)


def test_numbering_twice_is_numbering_once() -> None:
    rows = table(drawn_rows(3)[0])
    once = Fractional(fixed=5).number(rows)
    assert torch.equal(Fractional(fixed=5).number(once).position, once.position)


def test_packed_segments_go_on_from_their_prefix() -> None:
    """A word, 3 patches at 1/2, a word; one segment of a patch and a word, one of two words."""
    kinds = [(TEXT, 0), *[(IMAGE, 1)] * 3, (TEXT, 1)]
    kinds += [(IMAGE, 2), (TEXT, 2), (TEXT, 1), (TEXT, 1)]
    rows = table(kinds, [0] * 5 + [1, 1, 2, 2])
    found = Fractional(fixed=128).number(rows).position[0, :, 0].tolist()
    assert found == [0, 0.5, 1, 1.5, 3, 3.5, 5, 4, 5]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_counts_for_nothing(side: str) -> None:
    kinds, _ = drawn_rows(5)
    alone = Fractional(fixed=7).number(table(kinds)).position
    padded = [*kinds, *[(TEXT, 0)] * 4] if side == "right" else [*[(TEXT, 0)] * 4, *kinds]
    rows = table(padded)
    real = slice(0, len(kinds)) if side == "right" else slice(4, None)
    valid = torch.zeros_like(rows.valid)
    valid[:, real] = True
    found = Fractional(fixed=7).number(replace(rows, valid=valid)).position
    assert torch.equal(found[:, real], alone)


def test_training_draws_a_step_for_every_picture() -> None:
    """Each sample and picture its own, uniformly; text stays whole; a seed repeats them."""
    kinds = [(TEXT, 0), *[(IMAGE, 1)] * 3, (TEXT, 1), *[(IMAGE, 2)] * 3, (TEXT, 2)]
    one = table(kinds)
    many = TokenTable(**{name: column.repeat_interleave(600, 0) for name, column in one.columns()})
    answer = Fractional(fixed=256, steps=(1, 16, 128))
    torch.manual_seed(11)
    found = answer.taught(answer.number(many))
    step = found.position[..., 0].diff(dim=1)[:, [1, 5]] * WHOLE
    counts = {s: int((step == s).sum()) for s in (1, 16, 128)}
    assert sum(counts.values()) == 1200 and min(counts.values()) > 330
    assert 250 < int((step[:, 0] == step[:, 1]).sum()) + 100 < 350, "pictures draw apart"
    words = found.position[:, [0, 4, 8], 0]
    assert torch.equal(words, words.round()) and bool((found.position.diff(dim=1) > 0).all())
    for row in range(20):
        steps = {item: int(step[row, item - 1]) for item in (1, 2)}
        assert found.position[row, :, 0].tolist() == slowly(kinds, steps)
    torch.manual_seed(11)
    assert torch.equal(answer.taught(many).position, found.position)
    assert not torch.equal(answer.taught(many).position, found.position)
    assert torch.equal(answer.number(found).position, answer.number(many).position)


@pytest.mark.parametrize("base", [0, 2**15, 2**16 - 40])
def test_float32_tells_neighbours_apart_and_bfloat16_does_not(base: int) -> None:
    kinds = [*[(TEXT, 0)] * (base + 1), *[(IMAGE, 1)] * 300, (TEXT, 1)]
    found = Fractional(fixed=1).number(table(kinds)).position[0, base:, 0]
    assert found.dtype == torch.float32
    assert torch.equal(found[:-1].double(), base + torch.arange(301).double() / 256)
    assert float(found[-1]) == base + 3
    assert bool((found.diff() > 0).all())
    assert bool((found.bfloat16().diff() == 0).any())


@pytest.mark.parametrize("wrong", [{"fixed": 0}, {"fixed": 257}, {"fixed": 1, "steps": ()}])
def test_steps_are_parts_of_a_position(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="from 1 to 256"):
        Fractional(**wrong)
