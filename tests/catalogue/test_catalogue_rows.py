"""The rows of the catalogue, and how they are found."""

import pytest

from chiasm.catalogue.facets import facets
from chiasm.catalogue.rows import KINDS, nearest, read_answers, row, rows
from chiasm.errors import ChiasmError, Misuse


def test_249_rows_with_unique_numbers_and_slugs():
    assert [of.no for of in rows()] == list(range(1, 250))
    assert len({of.slug for of in rows()}) == 249
    assert all(of.name and of.title and of.family for of in rows())


def test_every_kind_is_declared_and_used():
    assert {of.kind for of in rows()} == set(KINDS)
    assert sum(of.kind == "survey" for of in rows()) == 21


def test_parity_is_asked_only_where_a_reference_exists():
    assert all(of.reference for of in rows() if of.parity != "none")
    assert row("llava-1.5").parity == "whole"
    assert row("ml-mamba").parity == "part"
    assert row("bagel").reference
    assert row("bagel").parity == "none"


def test_114_rows_are_tagged_and_few_alike():
    tagged = [of for of in rows() if of.facets]
    assert len(tagged) == 114
    # Systems that differ in a connector alone have the same facets.
    assert len({tuple(of.facets.items()) for of in tagged}) >= 107


def test_every_answer_is_declared():
    for of in rows():
        for name, values in of.facets.items():
            assert {value.rpartition(":")[2] for value in values} <= set(facets()[name].values)


def test_judgements_are_kept():
    doubted = [of for of in rows() if of.uncertain]
    assert len(doubted) == 14
    assert sum(len(of.uncertain) for of in doubted) == 18
    assert row("latte-flow").uncertain == ("stage", "peft")
    assert row("latte-flow").facets["stage"] == ("ft",)


def test_defaults_fill_what_a_tagged_row_leaves_out():
    assert row("saisa").facets["base"] == ("tf",)
    assert row("ml-mamba").facets["base"] == ("ssm",)
    assert row("epam-net").facets == {}


@pytest.mark.parametrize("name", ["saisa", "SAISA", 7, "7", "007"])
def test_a_row_by_slug_or_number(name):
    assert row(name).slug == "saisa"


def test_an_unknown_name_offers_several_near_ones():
    with pytest.raises(Misuse, match=r"unknown system 'flamnigo'; nearest: flamingo, \S+, \S+"):
        row("flamnigo")
    assert "llava-mini" in nearest("lava-mini")
    assert "llava-1.5" in nearest("LLaVA")


def test_an_unknown_number_says_the_range():
    with pytest.raises(Misuse, match="from 1 to 249"):
        row(250)


def test_a_malformed_tag_names_the_row_and_the_facet():
    with pytest.raises(ChiasmError, match=r"row 3, facet arch: .* no value 'Z'"):
        read_answers({"no": "3", "arch": "Z", "other": ""})
