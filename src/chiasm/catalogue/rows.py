"""The rows: one published system each, with its kind, its family and its answers to the facets."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType

from chiasm.catalogue.facets import facet, facets, parse
from chiasm.errors import ChiasmError, Misuse

SYSTEMS = Path(__file__).with_name("systems.tsv")
TAGGED = Path(__file__).with_name("tagged.tsv")

KINDS = (
    "model",
    "embedder",
    "pipeline",
    "compressor",
    "adapter",
    "objective",
    "data recipe",
    "benchmark",
    "survey",
)
PARITIES = ("whole", "part", "none")


@dataclass(frozen=True)
class Row:
    """One system of the catalogue. Rows compare by value and hash by number and slug."""

    no: int
    slug: str
    name: str
    kind: str  # one of KINDS: decides what each grade of evidence asks
    family: str
    reference: str = field(hash=False)  # its class in transformers, or the closest one; "" if none
    title: str = field(hash=False)
    facets: Mapping[str, tuple[str, ...]] = field(hash=False)  # empty where the row is untagged
    uncertain: tuple[str, ...] = ()  # facets whose answer is a judgement
    parity: str = "none"  # what of it the reference must equal: the whole, a part, or none


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated file, quotes taken literally."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def read_answers(line: dict[str, str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """`(facets, uncertain)` of one tagged line; a facet it leaves out takes its default."""
    cells = {k: v for k, v in line.items() if k not in ("no", "other") and v}
    for pair in (line["other"] or "").split():
        name, _, cell = pair.partition("=")
        cells[name] = cell
    answers, uncertain = {}, []
    for name, cell in cells.items():
        try:
            answers[facet(name).name], judged = parse(facet(name), cell)
        except ChiasmError as error:
            raise ChiasmError(f"{TAGGED.name}, row {line['no']}, facet {name}: {error}") from error
        if judged:
            uncertain.append(name)
    for of in facets().values():
        if of.default and of.name not in answers:
            answers[of.name] = (of.default,)
    return {name: answers[name] for name in facets() if name in answers}, tuple(uncertain)


@cache
def rows() -> tuple[Row, ...]:
    """All rows, by number."""
    tagged = {int(line["no"]): read_answers(line) for line in read_table(TAGGED)}
    found = []
    for line in read_table(SYSTEMS):
        no = int(line.pop("no"))
        answers, uncertain = tagged.pop(no, ({}, ()))
        if line["kind"] not in KINDS or line["parity"] not in PARITIES:
            raise ChiasmError(
                f"{SYSTEMS.name}, row {no}: kind {line['kind']!r} or parity {line['parity']!r} "
                f"is not declared; kinds: {', '.join(KINDS)}; parities: {', '.join(PARITIES)}"
            )
        found.append(Row(no=no, facets=MappingProxyType(answers), uncertain=uncertain, **line))
    if tagged:
        raise ChiasmError(f"{TAGGED.name} tags rows that {SYSTEMS.name} lacks: {sorted(tagged)}")
    return tuple(found)


@cache
def by_slug() -> Mapping[str, Row]:
    """The rows by slug."""
    return {row.slug: row for row in rows()}


def row(slug_or_no: str | int) -> Row:
    """The row with this slug or number; an unknown name offers the nearest."""
    text = str(slug_or_no).strip().casefold()
    if text.isdecimal():
        for candidate in rows():
            if candidate.no == int(text):
                return candidate
        raise Misuse(f"no system has number {slug_or_no}; numbers run from 1 to {rows()[-1].no}")
    if text in by_slug():
        return by_slug()[text]
    raise Misuse(f"unknown system {str(slug_or_no)!r}; nearest: {', '.join(nearest(text))}")


def nearest(text: str, count: int = 5) -> list[str]:
    """Up to `count` slugs whose slug or name is spelled most like `text`, the nearest first."""
    text = text.casefold()
    spelled = {row.name.casefold(): row.slug for row in rows()} | {s: s for s in by_slug()}
    close = get_close_matches(text, spelled, n=3 * count, cutoff=0.0)
    return list(dict.fromkeys(spelled[name] for name in close))[:count]
