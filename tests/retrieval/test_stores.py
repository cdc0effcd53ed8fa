"""Every engine against the rows themselves: random writes and filters, then every search."""

from dataclasses import replace

import numpy as np
import pytest
from qdrant_client import QdrantClient
from tests.retrieval.stores import SCRIPTS, TOKEN_WIDTH, WIDTH, drawn, unit_vector, vectors

from chiasm.errors import Misuse
from chiasm.retrieval.lance import Lance, Tuning
from chiasm.retrieval.listed import Listed
from chiasm.retrieval.qdrant import AVERAGE, Qdrant
from chiasm.retrieval.server_points import ServerPoints
from chiasm.retrieval.store import Column, Row
from chiasm.retrieval.where import Among, parse

EVERY = 1000
FILTERS = (
    "type=pdf",
    "type in (page, png) and page>1",
    "year>=2003",
    "not (year<2003 or start=0)",
    "year='2003' or year!=1999",
    "title~REPORT and end!=2.5",
    "text~CAFÉ or path~'cat 3'",
    "suffix='' and kind!=video",
    *(f"'the \\'key\".[0]' = \"{one}\"".replace(one, one.replace("\\", "\\\\").replace('"', '\\"'))
      for one in SCRIPTS),
    "'the \\'key\".[0]' ~ 'table UNITS'",
    "'the \\'key\".[0]' < 'b'",
    "nothing=1",
)  # fmt: skip
KINDS = ("listed", "lance", "lance indexed", "qdrant edge", "qdrant client")


def opened(kind, folder):
    if kind == "listed":
        return Listed()
    if kind == "lance":
        return Lance.open(folder)
    if kind == "qdrant edge":
        return Qdrant.open(folder)
    if kind == "qdrant client":
        # The client's own engine answers what a server would.
        return Qdrant(ServerPoints(QdrantClient(path=str(folder)), "units"))
    few = Tuning(exact_below=31, interacting_below=17, probes=100, refine=50, candidates=EVERY)
    return Lance.open(folder, tuning=few)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def store(kind, tmp_path):
    made = opened(kind, tmp_path / "library")
    yield made
    made.close()


def listed_beside(kind):
    return Listed(average=AVERAGE if "qdrant" in kind else None)


def equal(found, wanted, near):
    """The same ids with nearly the same scores, best first; equal scores in any order."""
    assert dict(found).keys() == dict(wanted).keys() and len(found) == len(wanted)
    told = dict(wanted)
    for one, score in found:
        assert score == pytest.approx(told[one], abs=near)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


def compare(store, listed, generator, *, filters=FILTERS, bm25=True):
    query = unit_vector(generator)
    asked = vectors(generator)
    for text in (None, *filters):
        where = None if text is None else parse(text)
        assert store.count(where) == listed.count(where), text
        for column in Column:
            ours = listed.nearest(column, query, EVERY, where)
            equal(store.nearest(column, query, EVERY, where), ours, 1e-5)
        ours = listed.matching("cats rising 東京都, café", EVERY, where)
        equal(store.matching("cats rising 東京都, café", EVERY, where), ours, 1e-4 if bm25 else 2)
        ours = listed.interacting(asked, EVERY, where)
        equal(store.interacting(asked, EVERY, where), ours, 1e-2)
    every = store.nearest(Column.WORDS, query, EVERY)
    equal(store.nearest(Column.WORDS, query, 3), every[:3], 1e-5)
    ids = [*list(listed.rows)[::7], "not there"]
    assert store.units(ids) == listed.units(ids)
    assert store.files() == listed.files()
    some = parse("type in (page, png) or page>1")
    same_rows(store.select(some), listed.select(some))


def same_rows(rows, others):
    """The same rows in any order, tokens up to how they are rounded."""
    wanted = {row.unit.id: row for row in others}
    assert len(rows) == len(wanted)
    for row in rows:
        own = wanted[row.unit.id]
        assert row.unit == own.unit
        for name, near in (("words", 1e-6), ("picture", 1e-6), ("tokens", 1e-3)):
            mine, theirs = getattr(row, name), getattr(own, name)
            assert (mine is None) == (theirs is None)
            if mine is not None:
                np.testing.assert_allclose(mine, theirs, atol=near)


def test_random_writes_and_filters_equal_brute_force(store, kind):
    generator = np.random.default_rng(3)
    listed = listed_beside(kind)
    for turn in range(4):
        numbers = generator.choice(97, size=43, replace=False)
        rows = [drawn(generator, f"u{one}") for one in numbers]
        for one in (store, listed):
            one.put(rows)
        where = parse(FILTERS[int(generator.integers(3))])
        if turn == 2:
            assert store.delete(where) == listed.delete(where)
        some = Among("id", tuple(f"u{one}" for one in generator.choice(97, size=11)))
        assert store.delete(some) == listed.delete(some)
        maintained = turn % 2 == 1
        if maintained:
            store.maintain()
        # An index counts rows as they were when it was last brought up to date.
        counted = kind != "qdrant edge" and (kind != "lance indexed" or maintained)
        filters = FILTERS if turn == 3 else generator.choice(FILTERS, size=5, replace=False)
        compare(store, listed, generator, filters=filters, bm25=counted)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_is_put_is_there_when_opened_again(kind, tmp_path):
    generator = np.random.default_rng(5)
    rows = [drawn(generator, f"u{one}") for one in range(17)]
    store = opened(kind, tmp_path)
    store.put(rows)
    store.close()
    again, listed = opened(kind, tmp_path), listed_beside(kind)
    listed.put(rows)
    compare(again, listed, generator)
    again.close()


def test_an_empty_store_finds_nothing(store):
    generator = np.random.default_rng(7)
    store.put([])
    store.maintain()
    assert store.nearest(Column.WORDS, unit_vector(generator), 5) == []
    assert store.matching("cat", 5) == [] and store.matching("...", 5) == []
    assert store.interacting(vectors(generator), 5, parse("page=1")) == []
    assert store.count() == 0 and store.files() == {} and store.units(["a"]) == []
    assert store.delete(parse("page=1")) == 0


def test_rows_without_vectors_come_first_and_vectors_later(store):
    generator = np.random.default_rng(11)
    bare = [Row(unit=drawn(generator, f"u{one}").unit) for one in range(5)]
    store.put(bare)
    assert store.nearest(Column.WORDS, unit_vector(generator), 5) == []
    full = [
        Row(unit=row.unit, picture=unit_vector(generator), tokens=vectors(generator))
        for row in bare[2:]
    ]
    store.put(full)
    assert store.count() == 5
    assert len(store.nearest(Column.PICTURE, unit_vector(generator), 9)) == 3
    assert store.nearest(Column.WORDS, unit_vector(generator), 9) == []
    assert len(store.interacting(vectors(generator), 9)) == 3


def test_nonsense_is_refused_and_nothing_of_it_written(store):
    generator = np.random.default_rng(13)
    good = drawn(generator, "u1")
    store.put([Row(unit=good.unit, words=unit_vector(generator), tokens=vectors(generator))])
    unit = drawn(generator, "u2").unit
    refused = [
        Row(unit=unit, words=unit_vector(generator, WIDTH + 1)),
        Row(unit=unit, words=2 * unit_vector(generator)),
        Row(unit=unit, picture=np.full(WIDTH, np.nan, np.float32)),
        Row(unit=unit, words=np.zeros(WIDTH, np.float32)),
        Row(unit=unit, tokens=np.zeros((0, TOKEN_WIDTH), np.float32)),
        Row(unit=unit, tokens=vectors(generator, TOKEN_WIDTH + 8)),
        Row(unit=replace(unit, metadata={"a": float("inf")})),
        Row(unit=replace(unit, metadata={"a": 2**60})),
        Row(unit=replace(unit, metadata={"a": None})),
        Row(unit=replace(unit, text="\ud800")),
        Row(unit=replace(unit, id="")),
        Row(unit=good.unit),
    ]
    fine = [drawn(generator, "u1"), drawn(generator, "u3")]
    for row in refused:
        with pytest.raises(Misuse):
            store.put([*fine, row])
    assert store.count() == 1 and store.units(["u1"]) == [good.unit]
    for ask in (
        lambda: store.nearest(Column.WORDS, unit_vector(generator, WIDTH + 1), 3),
        lambda: store.nearest(Column.WORDS, np.zeros(WIDTH), 3),
        lambda: store.nearest(Column.WORDS, unit_vector(generator), 0),
        lambda: store.matching("cat", 0),
        lambda: store.interacting(unit_vector(generator, TOKEN_WIDTH), 3),
    ):
        with pytest.raises(Misuse):
            ask()
