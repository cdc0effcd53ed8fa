"""The registry: duplicates are refused, unknown names are answered with the nearest."""

from dataclasses import replace

import pytest

from chiasm.errors import Misuse
from chiasm.spec import register, registered, system

SOME = next(iter(registered().values()))


def test_systems_come_in_alphabetical_order():
    assert list(registered()) == sorted(registered())
    assert all(slug == value.slug for slug, value in registered().items())


def test_the_same_value_may_register_again():
    assert register(SOME) is SOME


def test_another_value_of_a_taken_slug_is_refused():
    with pytest.raises(ValueError, match=f"'{SOME.slug}' is registered twice"):
        register(replace(SOME, parent="another"))
    assert registered()[SOME.slug] == SOME


def test_an_unknown_name_is_answered_with_the_nearest():
    misspelt = f"{SOME.slug[:-1]}_"
    with pytest.raises(Misuse, match=f"unknown system '{misspelt}'.*{SOME.slug}") as caught:
        system(misspelt)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(Misuse) as caught:
        system("0")
    assert all(slug in str(caught.value) for slug in registered())


def test_every_parent_is_registered_or_absent_by_deletion():
    for value in registered().values():
        assert value.parent != value.slug
