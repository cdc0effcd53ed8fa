import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.retrieval.fields import fields_of
from chiasm.retrieval.unit import Kind, Unit
from chiasm.retrieval.where import All, Among, Any_, Compare, Not, holds, parse

PAGE = Unit(
    id="u",
    path="docs/Annual Report.PDF",
    file="0" * 64,
    kind=Kind.PAGE,
    title="Results",
    page=3,
    metadata={"year": 2003, "share": 0.5, "who's": 'a "b" \\c', "code": "7", "flag": True},
)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("page>3", Compare("page", ">", 3)),
        (" title = 2024 ", Compare("title", "=", "2024")),
        ("year=2024", Compare("year", "=", 2024)),
        ("year='2024'", Compare("year", "=", "2024")),
        ("share<=-1.5e-3", Compare("share", "<=", -1.5e-3)),
        ("code~7", Compare("code", "~", "7")),
        ("a=1_000", Compare("a", "=", "1_000")),
        ("a=nan", Compare("a", "=", "nan")),
        ('"my key" != "x \\"y\\" \\\\"', Compare("my key", "!=", 'x "y" \\')),
        ("type IN (pdf, 'png')", Among("type", ("pdf", "png"))),
        (
            "a=1 or b=2 AND not (c=3)",
            Any_((Compare("a", "=", 1), All((Compare("b", "=", 2), Not(Compare("c", "=", 3)))))),
        ),
        ("and=or", Compare("and", "=", "or")),
    ],
)
def test_text_becomes_a_tree(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "character 1: the end where a field"),
        ("page", "character 5: the end where `in` or one of"),
        ("page >", "character 7: the end where a value"),
        ("page > 3 title=x", "character 10: 'title' where `and`, `or` or the end"),
        ("title=a b", "character 9: 'b'"),
        ("(page>3", "character 8: the end where `)`"),
        ("page>3)", "character 7: ')'"),
        ("page in 3", "character 9: '3' where `(`"),
        ("page in ()", "character 10: ')' where a value"),
        ("a='x", "character 3: a quote that never closes"),
        ("a ! b", "character 3: '!'"),
        ("x=1 and page=abc", "character 9: page is a number and 'abc' is words"),
        ("type<pdf", "character 1: type has no order"),
        ("a=1e999", "character 1: a inf cannot be compared"),
        ("a=9007199254740993", "character 1: a 9007199254740993 cannot be compared"),
        ("a='\0'", "character 1: a '\\x00' has a character that no text has"),
        ("(" * 51 + "a=1", "character 52: more than 50 levels deep"),
        ("not " * 51 + "a=1", "more than 50 levels deep"),
        ("a=1 or " * 3000 + "a=1", "filter of 21003 characters"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, told):
    with pytest.raises(Misuse) as error:
        parse(text)
    assert told in str(error.value) and "\n" not in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        holds(parse(text), fields_of(PAGE))
    except Misuse as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type=pdf", True),
        ("type=.PDF and type=page and kind=Page and suffix='.pdf'", True),
        ("type!=pdf or type!=page", False),
        ("type in (png, page)", True),
        ("type~pd", True),
        ("title~RESULT and path~'annual report'", True),
        ("title=results", False),
        ("page>=3 and page<3.5", True),
        ("start>0", False),
        ("start!=0 and not start=0", True),
        ("year=2003.0 and year!=2004", True),
        ("year='2003'", False),
        ("year!='2003'", True),
        ("code=7", False),
        ("code='7'", True),
        ("code<'8'", True),
        ("flag=1", True),
        ("'who\\'s' = 'a \"b\" \\\\c'", True),
        ("missing!=1 and not missing=1 and not missing in (1, a)", True),
        ("missing~a or missing<1 or missing=1", False),
    ],
)
def test_a_page_is_selected(text, wanted):
    assert holds(parse(text), fields_of(PAGE)) is wanted


def test_nothing_joined_is_true_and_nothing_chosen_from_is_false():
    assert holds(All(()), {}) and not holds(Any_(()), {}) and not holds(Among("a", ()), {})


def test_values_that_a_field_cannot_have_are_refused():
    for make in (
        lambda: Compare("title", "=", 3),
        lambda: Compare("page", "=", "3"),
        lambda: Among("page", (1, "3")),
        lambda: Compare("year", "~", 3),
        lambda: Compare("year", "==", 3),
        lambda: Compare("year", "=", float("nan")),
        lambda: Compare("\ud800", "=", 3),
    ):
        with pytest.raises(Misuse):
            make()
