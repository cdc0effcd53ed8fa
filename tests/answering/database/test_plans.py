"""Questions become plans, plans become SQL, and SQL gives what a loop over the rows gives."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.answering.database.grammar import EXAMPLES, parsed
from chiasm.answering.database.plans import (
    GRAMMAR,
    Count,
    In,
    Join,
    Max,
    Plan,
    Select,
    Shows,
    from_json,
)
from chiasm.answering.database.table import executed, row, written_out
from chiasm.answering.numerals import number
from chiasm.errors import Misuse
from chiasm.retrieval.unit import Kind, Unit

THINGS = ("dogs", "cats", "it's")


def picture(place: int) -> Unit:
    path = f"{'ab'[place % 2]}/{place // 3}.pdf"
    return Unit(id=f"u{place}", path=path, file="", kind=Kind.FIGURE)


tables = st.dictionaries(
    st.tuples(st.integers(0, 6), st.sampled_from(THINGS)), st.integers(0, 3), max_size=17
)
shows = st.builds(
    lambda thing, least, more: Shows(
        thing=thing, least=least, most=None if more is None else least + more
    ),
    st.sampled_from(THINGS),
    st.integers(0, 2),
    st.none() | st.integers(0, 2),
)
among = st.lists(shows, min_size=1, max_size=3).map(tuple)
plans = st.one_of(
    st.builds(Count, thing=st.sampled_from(THINGS), among=st.just(()) | among),
    st.builds(Max, thing=st.sampled_from(THINGS)),
    st.builds(In, among=among),
    st.builds(Select, among=among),
    st.builds(Join, left=shows, right=shows, on=st.sampled_from(("path", "folder", "number"))),
)
Table = dict[tuple[int, str], int]


def meets(table: Table, place: int, one: Shows) -> bool:
    shown = table.get((place, one.thing), 0)
    return one.least <= shown <= (10**9 if one.most is None else one.most)


def slowly(plan: Plan, table: Table) -> list[tuple]:
    """The plan, a picture at a time."""
    places = sorted({place for place, _ in table})

    def all_meet(conditions: tuple[Shows, ...]) -> list[int]:
        return [p for p in places if all(meets(table, p, one) for one in conditions)]

    match plan:
        case Count(thing=thing, among=conditions):
            held = all_meet(conditions)
            return [(sum(n for (p, t), n in table.items() if t == thing and p in held),)]
        case Max(thing=thing):
            return [(max((n for (_, t), n in table.items() if t == thing), default=0),)]
        case In(among=conditions):
            return [(len(all_meet(conditions)),)]
        case Select(among=conditions):
            return sorted((picture(p).path, picture(p).id) for p in all_meet(conditions))
        case Join(left=left, right=right, on=on):
            return sorted(
                (picture(a).path, picture(b).path, picture(a).id, picture(b).id)
                for a in all_meet((left,))
                for b in all_meet((right,))
                if (a < b if left == right else a != b)
                and (a, left.thing) in table
                and (b, right.thing) in table
                and same(table, a, b, left, right, on)
            )


def same(table: Table, a: int, b: int, left: Shows, right: Shows, on: str) -> bool:
    one, other = picture(a), picture(b)
    if on == "path":
        return one.path == other.path
    if on == "folder":
        return one.path.split("/")[0] == other.path.split("/")[0]
    return table[a, left.thing] == table[b, right.thing]


@settings(deadline=None, max_examples=60)
@given(plans, tables)
def test_sql_gives_what_a_loop_gives(plan, table):
    rows = [row(picture(place), thing, shown) for (place, thing), shown in table.items()]
    found = [tuple(one) for one in executed(rows, plan.query())]
    assert found == slowly(plan, table)


@given(plans)
def test_a_plan_is_what_its_json_says(plan):
    bare = {"do": plan.do, **asdict(plan)}
    assert from_json(json.dumps(bare)) == plan
    assert f'"do": "{plan.do}"' in GRAMMAR
    sql = written_out(plan.query())
    assert "?" not in sql and sql.count("'it''s'") == sql.count("it''s")


@pytest.mark.parametrize(
    ("question", "plan"),
    [
        *zip(
            EXAMPLES,
            [
                Count(thing="dogs"),
                Count(thing="dogs", among=(Shows(thing="ball"),)),
                In(among=(Shows(thing="dogs", least=2), Shows(thing="cats", least=0, most=0))),
                Max(thing="dogs"),
                Select(among=(Shows(thing="dogs"), Shows(thing="ball"))),
                Join(left=Shows(thing="dogs"), right=Shows(thing="cats"), on="folder"),
                Join(left=Shows(thing="dogs"), right=Shows(thing="dogs"), on="number"),
            ],
            strict=True,
        )
    ],
)
def test_each_pattern_is_read(question, plan):
    assert parsed(question) == plan
    assert parsed(question.upper().rstrip("?")) == plan


@pytest.mark.parametrize(
    ("words", "least", "most"),
    [
        ("more than 3 dogs", 4, None),
        ("fewer than three dogs", 0, 2),
        ("at most two dogs", 0, 2),
        ("exactly 3 dogs", 3, 3),
        ("two dogs", 2, 2),
        ("several dogs", 2, None),
        ("some dogs", 1, None),
        ("dogs", 1, None),
    ],
)
def test_amounts_are_read(words, least, most):
    expected = Select(among=(Shows(thing="dogs", least=least, most=most),))
    assert parsed(f"which photos show {words}?") == expected


def test_other_questions_have_no_pattern():
    for question in ("who is the king?", "describe the pictures", "", "how many"):
        assert parsed(question) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("count dogs", "no JSON"),
        ("[]", "'do' is one of count, max, in, select, join"),
        ('{"do": "drop"}', "'do' is one of"),
        ('{"do": "count"}', "plan count: missing"),
        ('{"do": "count", "thing": 5}', "'thing' is 5"),
        ('{"do": "count", "thing": "dogs", "sql": "DROP"}', "unexpected keyword"),
        ('{"do": "in", "among": []}', "no conditions"),
        ('{"do": "select", "among": "dogs"}', "give a list"),
        ('{"do": "select", "among": [{"thing": "dogs", "least": 1.5}]}', "is no condition"),
        ('{"do": "select", "among": [{"thing": "dogs", "least": 3, "most": 1}]}', "3 to 1 dogs"),
        ('{"do": "max", "thing": " "}', "give words"),
        (
            '{"do": "join", "left": {"thing": "a"}, "right": {"thing": "b"}, "on": "1=1; --"}',
            "cannot be joined on",
        ),
    ],
)
def test_a_plan_that_is_none_is_refused(text, named):
    with pytest.raises(Misuse, match=named):
        from_json(text)


def test_a_thing_cannot_be_sql():
    hostile = "dogs' OR 1=1; DROP TABLE shows; --"
    rows = [row(picture(0), hostile, 3), row(picture(1), "dogs", 5)]
    assert executed(rows, Count(thing=hostile).query()) == [[3]]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3", 3),
        ("There are three dogs", 3),
        ("No dogs.", 0),
        ("None", 0),
        ("twenty", 20),
        ("I cannot tell", 0),
        ("", 0),
        ("99999999999999", 0),
        ("-2", 2),
    ],
)
def test_numbers_are_read_and_failures_are_nought(answer, expected):
    assert number(answer) == expected
