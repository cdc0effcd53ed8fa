"""Selecting rows: by kind, family, grade, facets and words, all of which must hold."""

from collections.abc import Iterable, Sequence

from chiasm.catalogue.evidence import GRADES, grade
from chiasm.catalogue.facets import condition, matches
from chiasm.catalogue.rows import KINDS, Row, rows
from chiasm.errors import Misuse


def select(
    *,
    kinds: Sequence[str] = (),
    families: Sequence[str] = (),
    at_grade: str | None = None,
    facets: Iterable[str] = (),
    words: Iterable[str] = (),
) -> list[tuple[Row, str]]:
    """The rows that pass every filter, each with its grade; an unknown name is misuse.

    Several kinds, or families, are alternatives. `at_grade` is one grade, or `lawful+` for that
    grade and above. Each of `facets` is `name=value`, several values joined by `+`. Every word
    must occur in a row's slug, name, title or family.
    """
    known(kinds, KINDS, "kind")
    known(families, sorted({row.family for row in rows()}), "family")
    allowed = grades(at_grade)
    conditions = [condition(*named(facet)) for facet in facets]
    folded = [word.casefold() for word in words]
    found = []
    for row in rows():
        text = f"{row.slug} {row.name} {row.title} {row.family}".casefold()
        if (
            (not kinds or row.kind in kinds)
            and (not families or row.family in families)
            and all(matches(row.facets, name, values) for name, values in conditions)
            and all(word in text for word in folded)
        ):
            found.append((row, grade(row.slug)))
    return [(row, earned) for row, earned in found if earned in allowed]


def known(given: Iterable[str], declared: Sequence[str], what: str) -> None:
    """Raise unless every given name is declared."""
    for value in given:
        if value not in declared:
            raise Misuse(f"unknown {what} {value!r}; there are {', '.join(declared)}")


def grades(wanted: str | None) -> tuple[str, ...]:
    """The grades that a filter lets pass: `effect`, or `lawful+` for lawful and above."""
    if wanted is None:
        return GRADES
    lowest = wanted.removesuffix("+")
    known([lowest], GRADES, "grade")
    return GRADES[GRADES.index(lowest) :] if wanted != lowest else (lowest,)


def named(facet: str) -> tuple[str, str]:
    """The two sides of `name=value`."""
    name, equals, value = facet.partition("=")
    if not equals or not value:
        raise Misuse(f"write a facet as NAME=VALUE, not {facet!r}")
    return name, value
