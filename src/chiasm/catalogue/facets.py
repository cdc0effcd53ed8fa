"""The facets: 24 questions that 21 surveys ask of every system, with their declared answers.

`facets.json` declares a facet (its question, the surveys it comes from, its values); `tagged.tsv`
holds the answered rows in the surveys' compact notation: `+` joins values, `>` orders them, and a
closing `?` marks a judgement. A cell becomes a tuple of values, one form a facet:

    one, many   A+C       ("A", "C")
    ordered     pt>it     ("pt", "it")
    letters     EIL       ("E", "I", "L")
    flow        TI>T      ("in:T", "in:I", "out:T")
    pairs       IV:query  ("I:query", "V:query")
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chiasm.errors import ChiasmError, Misuse

DEFINITIONS = Path(__file__).with_name("facets.json")
ALIASES = {"efficiency": "eff"}
FORMS = ("one", "many", "ordered", "letters", "flow", "pairs")


@dataclass(frozen=True)
class Facet:
    """One question of the taxonomy; `values` maps each declared answer to its meaning."""

    name: str
    title: str
    question: str
    surveys: tuple[int, ...]  # catalogue numbers of the surveys that ask it
    form: str
    values: Mapping[str, str]
    left: tuple[str, ...] = ()  # what may stand before the colon: in, out; or a modality
    default: str | None = None  # the answer of a tagged row that gives none
    added: tuple[str, ...] = ()  # values that no survey names


@cache
def facets() -> Mapping[str, Facet]:
    """Every facet by name, in the order of the taxonomy."""
    declared = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    return {name: read_facet(name, entry) for name, entry in declared.items()}


def read_facet(name: str, entry: dict[str, Any]) -> Facet:
    """One declaration; a form or a default that nothing declares raises."""
    if entry["form"] not in FORMS:
        raise ChiasmError(f"{DEFINITIONS.name}, facet {name}: no form {entry['form']!r}")
    lost = {entry.get("default"), *entry.get("added", ())} - {None, *entry["values"]}
    if lost:
        raise ChiasmError(f"{DEFINITIONS.name}, facet {name}: undeclared {sorted(lost)}")
    return Facet(
        name=name,
        title=entry["title"],
        question=entry["question"],
        surveys=tuple(entry["surveys"]),
        form=entry["form"],
        values=MappingProxyType(entry["values"]),
        left=tuple(entry.get("left", ())),
        default=entry.get("default"),
        added=tuple(entry.get("added", ())),
    )


def facet(name: str) -> Facet:
    """The facet called `name`, or by its alias; an unknown name offers the nearest."""
    known = facets()
    name = ALIASES.get(name, name)
    if name not in known:
        near = get_close_matches(name, known, n=4, cutoff=0.3) or list(known)
        raise Misuse(f"unknown facet {name!r}; nearest: {', '.join(near)}")
    return known[name]


def parse(of: Facet, cell: str) -> tuple[tuple[str, ...], bool]:
    """`(values, uncertain)` of one cell in compact notation; an undeclared value raises."""
    text = cell.removesuffix("?")
    uncertain = text != cell
    if of.form == "one":
        values = (text,)
    elif of.form == "many":
        values = tuple(text.split("+"))
    elif of.form == "ordered":
        values = tuple(text.split(">"))
    elif of.form == "letters":
        values = tuple(text)
    elif of.form == "flow":
        enter, arrow, leave = text.partition(">")
        if not arrow:
            raise ChiasmError(f"facet {of.name!r} needs what enters > what leaves, not {cell!r}")
        values = (*(f"in:{letter}" for letter in enter), *(f"out:{letter}" for letter in leave))
    else:
        left, _, right = text.partition(":")
        values = tuple(f"{letter}:{how}" for how in right.split("+") for letter in left)
    validate(of, values)
    return values, uncertain


def validate(of: Facet, values: tuple[str, ...]) -> None:
    """Raise unless every value is declared and none but an ordered facet's repeats."""
    if not values:
        raise ChiasmError(f"facet {of.name!r} has an empty cell; leave the facet out instead")
    for value in values:
        left, colon, right = value.rpartition(":")
        if right not in of.values or (left not in of.left if of.left else colon):
            raise ChiasmError(
                f"facet {of.name!r} declares no value {value!r}; it has {', '.join(of.values)}"
            )
    if of.form != "ordered" and len(set(values)) < len(values):
        raise ChiasmError(f"facet {of.name!r} repeats a value in {'+'.join(values)!r}")


def condition(name: str, wanted: str) -> tuple[str, tuple[str, ...]]:
    """`(facet, values)` of a filter such as `eff=moe+token`, checked against the declarations.

    A value may name either side of a pair alone: `mods=I` means an image in or out, `tok=V` any
    compression of video, `tok=query` queries on any modality.
    """
    of = facet(name)
    spelled = {v.casefold(): v for v in (*of.left, *of.values)}
    found = []
    for part in wanted.split("+"):
        exact = part in of.values or part in of.left
        value = part if exact else spelled.get(part.casefold(), part)
        left, _, right = value.rpartition(":")
        paired = left in of.left and right in of.values
        if not paired and value not in of.values and value not in of.left:
            sides = f" (or {'|'.join(of.left)}: and one of them)" if of.left else ""
            raise Misuse(
                f"facet {of.name!r} has no value {part!r}; it has {', '.join(of.values)}{sides}"
            )
        found.append(value)
    return of.name, tuple(found)


def matches(answers: Mapping[str, tuple[str, ...]], name: str, wanted: tuple[str, ...]) -> bool:
    """Whether a row's answers hold every wanted value of the facet; an untagged row never does."""
    held: set[str] = set()
    for value in answers.get(name, ()):
        held.update((value, *value.split(":")))
    return held.issuperset(wanted)
