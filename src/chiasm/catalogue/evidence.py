"""The grade of a row, computed from recorded evidence and never declared by hand.

    listed < builds < lawful < matches < effect

Evidence is shipped with the package, one file a system: `evidence/SLUG.json` beside this module,
`{"slug": ..., "records": [...]}`. A record is one line of proof: the grade it speaks for, what was
done, by which command, at which commit, when, on which kind of machine, and whether it passed.
Test runs write the first four grades (`collect.py`); measured effects are folded in from the
repository's `results/SLUG/*.json` (`effects.py`).

A survey is graded from the catalogue itself: its facets are in it (builds), and every value of
them answers for a tagged row (lawful), or a recorded test shows the same.
"""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from chiasm.catalogue.facets import facets
from chiasm.catalogue.rows import Row, row, rows
from chiasm.errors import ChiasmError, Misuse

FOLDER = Path(__file__).with_name("evidence")
GRADES = ("listed", "builds", "lawful", "matches", "effect")
TOPS = {"benchmark": "matches", "survey": "lawful"}  # these kinds have no effect to measure
OUTCOMES = ("confirmed", "none seen", "contrary")
REQUIRED = {
    "grade": str,
    "what": str,
    "command": str,
    "commit": str,
    "date": str,
    "machine": str,
    "passed": bool,
}

Record = dict[str, Any]


def read(slug: str, folder: Path | None = None) -> list[Record]:
    """The recorded evidence of a system, none if it has no file; malformed evidence raises."""
    path = (folder or FOLDER) / f"{slug}.json"
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChiasmError(f"evidence {path.name} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("slug") != slug:
        raise ChiasmError(f"evidence {path.name}: field 'slug' must be {slug!r}")
    if not isinstance(content.get("records"), list):
        raise ChiasmError(f"evidence {path.name}: field 'records' must be a list")
    for number, entry in enumerate(content["records"]):
        check(entry, slug, f"evidence {path.name}, record {number}")
    return content["records"]


def check(entry: Any, slug: str, where: str) -> None:
    """Raise, naming `where` and the field, unless the record is whole and its kind can earn it."""
    if not isinstance(entry, dict):
        raise ChiasmError(f"{where}: a record must be an object, not {type(entry).__name__}")
    for name, kind in REQUIRED.items():
        value = entry.get(name)
        if not isinstance(value, kind) or value == "":
            raise ChiasmError(f"{where}: field {name!r} must be a {kind.__name__}, not {value!r}")
    if entry["grade"] not in earnable(row(slug)):
        raise ChiasmError(
            f"{where}: field 'grade' is {entry['grade']!r}; a {row(slug).kind} can earn "
            f"{', '.join(earnable(row(slug)))}"
        )
    if entry["grade"] == "effect" and entry.get("outcome") not in OUTCOMES:
        raise ChiasmError(f"{where}: field 'outcome' must be one of {', '.join(OUTCOMES)}")


def earnable(of: Row) -> tuple[str, ...]:
    """The grades that evidence can earn this row, lowest first."""
    return GRADES[1 : GRADES.index(TOPS.get(of.kind, "effect")) + 1]


def grade_from(of: Row, records: Iterable[Mapping[str, Any]]) -> str:
    """The highest grade that passes together with every lower one that the row requires.

    A grade passes when it has a record and none of its records failed. `matches` may be absent,
    though not failed, below `effect` where no reference of the row's own architecture exists.
    """
    seen: dict[str, bool] = {}
    for entry in records:
        seen[entry["grade"]] = seen.get(entry["grade"], True) and entry["passed"]
    if of.kind == "survey":
        seen.setdefault("builds", bool(asked_by(of)))
        seen.setdefault("lawful", bool(asked_by(of)) and not unused_values(of))
    earned = "listed"
    for step in earnable(of):
        if seen.get(step):
            earned = step
        elif step in seen or step != "matches" or of.parity != "none":
            break
    return earned


def grade(slug_or_no: str | int, folder: Path | None = None) -> str:
    """The grade of a row by its shipped evidence, or by the evidence in `folder`."""
    of = row(slug_or_no)
    return grade_from(of, read(of.slug, folder))


def outcomes(slug_or_no: str | int, folder: Path | None = None) -> tuple[str, ...]:
    """The distinct outcomes of a row's measured effects, `confirmed` first; empty if none."""
    seen = {entry.get("outcome") for entry in read(row(slug_or_no).slug, folder)}
    return tuple(outcome for outcome in OUTCOMES if outcome in seen)


def asked_by(of: Row) -> list[str]:
    """The facets that a survey contributes to the catalogue."""
    return [facet.name for facet in facets().values() if of.no in facet.surveys]


def unused_values(of: Row) -> list[str]:
    """The values of a survey's facets, as `facet=value`, that answer for no tagged row."""
    held = used_values()
    asked = [(name, value) for name in asked_by(of) for value in facets()[name].values]
    return [f"{name}={value}" for name, value in asked if (name, value) not in held]


@cache
def used_values() -> frozenset[tuple[str, str]]:
    """The `(facet, value)` pairs that answer for some tagged row."""
    return frozenset(
        (name, value.rpartition(":")[2])
        for of in rows()
        for name, values in of.facets.items()
        for value in values
    )


def record(slug: str, grade: str, *, folder: Path | None = None, **fields: Any) -> Path:
    """Write one record of a system and return its file.

    It replaces the record of the same grade and `what`; `date` is now unless given. An effect has
    one source, its result file, and cannot be recorded here.
    """
    of = row(slug)
    if grade == "effect":
        raise Misuse(
            f"an effect is measured: write results/{of.slug}/NAME.json, then run "
            "python -m chiasm.catalogue.effects"
        )
    if grade not in earnable(of):
        raise Misuse(f"a {of.kind} cannot earn {grade!r}; it can earn {', '.join(earnable(of))}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"grade": grade, "date": now, **fields}
    check(entry, of.slug, f"evidence {of.slug}.json, new record")
    kept = [
        old
        for old in read(of.slug, folder)
        if (old["grade"], old["what"]) != (grade, entry["what"])
    ]
    return write(of.slug, [*kept, entry], folder)


def in_order(records: Iterable[Record]) -> list[Record]:
    """The records as a file holds them: lowest grade first, then by what was done."""
    return sorted(records, key=lambda entry: (GRADES.index(entry["grade"]), entry["what"]))


def write(slug: str, records: list[Record], folder: Path | None = None) -> Path:
    """Write a system's evidence in one step, so that a reader sees the old file or the new."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug}.json"
    content = {"slug": slug, "records": in_order(records)}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path
