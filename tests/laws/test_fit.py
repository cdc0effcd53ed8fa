"""Every answer beside every other: it learns, or it is refused in a sentence before it has memory.

Encoders (with their views and pixels), connectors, fusions (with their visibility
and what their head reads) and hosts (with
their positions) of all registered systems, at tiny sizes, in rows that hold every pair of two
answers once (pairwise sampling).
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.tiny import batch, every, ragged, tiny

from chiasm.assemble import build
from chiasm.connectors import MLP, PerLayer
from chiasm.encoders import NoEncoder
from chiasm.errors import Misuse
from chiasm.fusion import NoFusion
from chiasm.positions import Sequential
from chiasm.spec import Answers, NoViews
from chiasm.spec.fit import check_fit

CHUNKS = 8
SAMPLED = 3
"""Of so many rows one is tried: all 1,850 take two minutes, `SAMPLED = 1` tries them."""
FACTORS: dict[str, tuple[str, ...]] = {
    "encoder": ("views", "pixels", "encoder"),
    "connector": ("connector",),
    "fusion": ("fusion", "visibility", "head"),
    "host": ("host", "positions"),
}


def members(fields: Sequence[str]) -> list[str]:
    """A system for each distinct value of these answers."""
    found: dict[str, str] = {}
    for parameter in every():
        slug = parameter.values[0]
        told = repr([getattr(tiny(slug), field) for field in fields])
        found.setdefault(told, slug)
    return list(found.values())


def pairwise(counts: Sequence[int]) -> list[tuple[int, ...]]:
    """Rows of one number below each count that hold every pair of numbers of two columns.

    Greedy: a row begins with a pair that no row holds yet, and each further column takes the
    number that adds most pairs.
    """
    columns = range(len(counts))
    left = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(columns, 2)
        for i in range(counts[a])
        for j in range(counts[b])
    }
    rows = []
    for pair in sorted(left):
        if pair not in left:
            continue
        row = dict(pair)
        for column in columns:
            if column not in row:
                new = [
                    sum(pair_of(column, number, c, n) in left for c, n in row.items())
                    for number in range(counts[column])
                ]
                row[column] = new.index(max(new))
        left -= {pair_of(a, row[a], b, row[b]) for a, b in itertools.combinations(columns, 2)}
        rows.append(tuple(row[column] for column in columns))
    return rows


def pair_of(a: int, i: int, b: int, j: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return ((a, i), (b, j)) if a < b else ((b, j), (a, i))


def joined(slugs: dict[str, str]) -> Answers:
    """The control's image-reading parent with each factor's answers from the named system."""
    answers = tiny("text-only")
    for factor, slug in slugs.items():
        donor = tiny(slug)
        answers = replace(answers, **{field: getattr(donor, field) for field in FACTORS[factor]})
    return answers


def test_rows_hold_every_pair():
    counts = (5, 3, 4, 2)
    rows = pairwise(counts)
    for a, b in itertools.combinations(range(4), 2):
        assert {(row[a], row[b]) for row in rows} == set(
            itertools.product(range(counts[a]), range(counts[b]))
        )
    assert len(rows) <= 30


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_it_learns_or_is_refused_in_a_sentence(chunk):
    named = {factor: members(fields) for factor, fields in FACTORS.items()}
    rows = pairwise([len(names) for names in named.values()])[chunk * SAMPLED :: CHUNKS * SAMPLED]
    assert rows
    learned = 0
    for row in rows:
        slugs = {f: names[at] for (f, names), at in zip(named.items(), row, strict=True)}
        answers = joined(slugs)
        try:
            # Parts are joined on the meta device before any has memory.
            loss = build(answers).train().loss(batch(answers, ragged()))
        except Misuse as error:  # views that follow the image's shape are refused image by image
            why = str(error)
            assert 20 < len(why) < 400 and "\n" not in why, (slugs, why)
            continue
        loss.backward()
        assert torch.isfinite(loss), slugs
        learned += 1
    assert learned, "every row was refused"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda a: replace(a, connector=PerLayer(MLP())), "one a layer"),
        (lambda a: replace(a, encoder=NoEncoder()), "no encoder reads them"),
        (lambda a: replace(a, fusion=NoFusion()), "no fusion takes them up"),
        (lambda a: replace(a, views=NoViews(), encoder=NoEncoder()), "nothing is looked at"),
        (
            lambda a: replace(
                a,
                host=replace(a.host, rope_sections=(2, 1)),
                positions=Sequential(),
            ),
            "2 axes",
        ),
    ],
)
def test_refusals_say_why(changed: Callable[[Any], Any], said: str):
    answers = changed(tiny("llava-1.5"))
    with pytest.raises(Misuse, match=said):
        check_fit(answers)
    for device in ("meta", "cpu"):
        with pytest.raises(Misuse, match=said):
            build(answers, device=device)
