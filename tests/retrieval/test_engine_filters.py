"""Filters as engines read them, against the predicate, on hostile names and values."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.retrieval.fields import fields_of
from chiasm.retrieval.lance import Lance
from chiasm.retrieval.qdrant import Qdrant
from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Kind, Unit
from chiasm.retrieval.where import OPERATORS, All, Among, Any_, Compare, Not, holds

NAMES = ("year", "a.b[0]", "it's", 'say "x"', "$.path", "`tick`", "東京", "end ", "0")
WORDS = ("", "'", "''", '"', "\\", "\\'", "%", "_", "x' OR '1'='1", "--", "É", "é", "\n", "İ", "ß")
NUMBERS = (0, -1, 3, 2**53, -0.5, 1e-300, 1.7e308, 2003.5)
UNITS = [
    Unit(
        id=f"u{at}",
        path=f"{WORDS[at % len(WORDS)]}/f.{WORDS[(at + 1) % 3] or 'pdf'}",
        file="0" * 64,
        kind=list(Kind)[at % len(Kind)],
        title=WORDS[(at * 7) % len(WORDS)],
        text=WORDS[(at * 5) % len(WORDS)],
        page=at if at % 3 else None,
        start=at / 2 if at % 2 else None,
        metadata={
            NAMES[(at + i) % len(NAMES)]: (WORDS if (at + i) % 2 else NUMBERS)[(at * i) % 8]
            for i in range(5)
        },
    )
    for at in range(43)
]

texts = st.sampled_from(WORDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4
)
values = texts | st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False)


def made(kind, *given):
    """A field cannot have every value."""
    try:
        return kind(*given)
    except Misuse:
        return Not(All(()))


fields = st.sampled_from(
    (*NAMES, "type", "suffix", "path", "title", "text", "page", "start", "kind")
)
leaves = st.builds(
    lambda *given: made(Compare, *given), fields, st.sampled_from(OPERATORS), values
) | st.builds(lambda *given: made(Among, *given), fields, st.lists(values, max_size=3).map(tuple))
trees = st.recursive(
    leaves,
    lambda part: (
        st.builds(Not, part)
        | st.builds(All, st.lists(part, max_size=3).map(tuple))
        | st.builds(Any_, st.lists(part, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module", params=[Lance, Qdrant])
def store(request, tmp_path_factory):
    store = request.param.open(tmp_path_factory.mktemp("library"))
    store.put([Row(unit=unit) for unit in UNITS])
    yield store
    store.close()


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(where=trees)
def test_engines_select_what_the_predicate_does(store, where):
    wanted = sum(holds(where, fields_of(unit)) for unit in UNITS)
    assert store.count(where) == wanted


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_value_of_every_field_is_compared_alike(store, operator):
    for unit in UNITS[::5]:
        for field, value in fields_of(unit).items():
            if value is None or (operator == "~" and not isinstance(value, str)):
                continue
            where = Compare(field, operator, value)
            assert store.count(where) == sum(holds(where, fields_of(one)) for one in UNITS), where


def test_no_filter_writes(store):
    where = Compare("title", "=", "'; DELETE FROM units; --")
    assert store.count(where) == 0 and store.delete(where) == 0
    assert store.count() == len(UNITS)
    assert store.units(["u3"]) == [replace(UNITS[3])]
