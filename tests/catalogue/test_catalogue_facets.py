"""The facets: their declarations, their notation, and filtering by them."""

import pytest

from chiasm.catalogue.facets import FORMS, condition, facet, facets, matches, parse
from chiasm.catalogue.rows import row, rows
from chiasm.catalogue.selection import select
from chiasm.errors import ChiasmError, Misuse


def test_24_facets_each_from_surveys_of_the_catalogue():
    assert len(facets()) == 24
    surveys = {of.no for of in rows() if of.kind == "survey"}
    asked = {no for of in facets().values() for no in of.surveys}
    assert asked == surveys
    for of in facets().values():
        assert of.form in FORMS
        assert of.question.endswith(("?", ")"))
        assert all(of.values.values())


@pytest.mark.parametrize(
    ("name", "cell", "values", "uncertain"),
    [
        ("arch", "B+C", ("B", "C"), False),
        ("peft", "full?", ("full",), True),
        ("stage", "pt>pt>it?", ("pt", "pt", "it"), True),
        ("parts", "EIL", ("E", "I", "L"), False),
        ("mods", "TI>T", ("in:T", "in:I", "out:T"), False),
        ("tok", "IV:sim+att", ("I:sim", "V:sim", "I:att", "V:att"), False),
    ],
)
def test_notation(name, cell, values, uncertain):
    assert parse(facet(name), cell) == (values, uncertain)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("arch", "Z"), ("arch", "A+A"), ("rep", ""), ("parts", ""), ("mods", "TI"), ("tok", "T:sim")],
)
def test_undeclared_and_malformed_cells_raise(name, cell):
    with pytest.raises(ChiasmError, match=name):
        parse(facet(name), cell)


def test_an_unknown_facet_or_value_says_what_there_is():
    with pytest.raises(Misuse, match=r"unknown facet 'arhc'; nearest: arch"):
        condition("arhc", "A")
    with pytest.raises(Misuse, match=r"no value 'Z'; it has A, B, C, D, O"):
        condition("arch", "Z")


def test_aliases_and_letter_case():
    assert condition("efficiency", "moe") == ("eff", ("moe",))
    assert condition("arch", "a") == ("arch", ("A",))


def test_a_value_matches_either_side_of_a_pair():
    answers = row("perceiver").facets
    assert matches(answers, *condition("tok", "V"))
    assert matches(answers, *condition("tok", "query"))
    assert matches(answers, *condition("tok", "V:query"))
    assert matches(answers, *condition("mods", "I"))
    assert not matches(answers, *condition("mods", "out:I"))


def slugs(**filters):
    return [of.slug for of, _ in select(**filters)]


def test_filters_narrow_together():
    assert slugs(facets=["arch=A", "eff=moe"]) == ["evlm"]
    assert slugs(facets=["eff=token+prefuse"]) == ["llava-mini"]
    both = slugs(kinds=["model", "embedder"], families=["retrieval"])
    assert set(both) == set(slugs(kinds=["embedder"], families=["retrieval"]))
    assert "imagescope" in slugs(families=["retrieval"], kinds=["pipeline"])
    assert slugs(words=["KV", "cache"]) == ["visual-kv-quant"]


def test_untagged_rows_match_no_facet():
    assert len(slugs(facets=["kind=model"])) + len(slugs(facets=["kind=plug"])) + 1 == 114
    assert slugs(facets=["kind=data"]) == ["obelics"]


def test_grades_exactly_or_at_least():
    all_surveys = slugs(kinds=["survey"])
    assert slugs(kinds=["survey"], at_grade="listed+") == all_surveys
    assert slugs(kinds=["survey"], at_grade="builds+") == all_surveys
    assert slugs(kinds=["survey"], at_grade="listed") == []


@pytest.mark.parametrize(
    "filters",
    [{"kinds": ["toy"]}, {"families": ["toy"]}, {"at_grade": "best"}, {"facets": ["arch"]}],
)
def test_unknown_filters_are_misuse(filters):
    with pytest.raises(Misuse):
        select(**filters)
