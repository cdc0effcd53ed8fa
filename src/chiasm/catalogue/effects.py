"""Measured effects: `results/SLUG/*.json` of the repository, folded into the shipped evidence.

A result file holds one comparison of a system with its baseline. Its figures are copied into the
system's evidence so that an installed package, which has no `results/`, knows its grades:

    python -m chiasm.catalogue.effects            # fold every result in
    python -m chiasm.catalogue.effects --check    # exit 1 where the evidence is stale
"""

import json
import math
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from chiasm.catalogue.command import run
from chiasm.catalogue.evidence import OUTCOMES, Record, check, in_order, read, write
from chiasm.catalogue.rows import row, rows
from chiasm.errors import ChiasmError, Misuse

REPOSITORY = Path(__file__).parents[3]
TEXTS = ("command", "commit", "machine", "metric")
NUMBERS = ("value", "low", "high", "baseline", "baseline_low", "baseline_high")


def read_result(path: Path) -> Record:
    """One result file, whole and consistent; anything else raises naming the file and the field.

    `better`, `higher` or `lower`, is optional; where it is given, an outcome that the two values
    contradict raises.
    """
    where = f"result {path.parent.name}/{path.name}"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChiasmError(f"{where} is not JSON: {error}") from error
    if not isinstance(result, dict):
        raise ChiasmError(f"{where} must hold one object, not a {type(result).__name__}")
    for name in TEXTS:
        if not isinstance(result.get(name), str) or not result[name]:
            raise ChiasmError(f"{where}: field {name!r} must be a text, not {result.get(name)!r}")
    for name in NUMBERS:
        if not is_number(result.get(name)):
            raise ChiasmError(
                f"{where}: field {name!r} must be a finite number, not {result.get(name)!r}"
            )
    seeds = result.get("seeds")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise ChiasmError(f"{where}: field 'seeds' must be a list of integers, not {seeds!r}")
    for middle, low, high in ((NUMBERS[:3]), (NUMBERS[3:])):
        if not result[low] <= result[middle] <= result[high]:
            raise ChiasmError(f"{where}: field {middle!r} lies outside its interval {low}..{high}")
    if result.get("outcome") not in OUTCOMES:
        raise ChiasmError(f"{where}: field 'outcome' must be one of {', '.join(OUTCOMES)}")
    contradicts(result, where)
    return result


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def contradicts(result: Record, where: str) -> None:
    """Raise where the stated direction and the two values deny the stated outcome."""
    better = result.get("better")
    if better not in (None, "higher", "lower"):
        raise ChiasmError(f"{where}: field 'better' must be higher or lower, not {better!r}")
    if better is None or result["outcome"] == "none seen":
        return
    gain = result["value"] - result["baseline"]
    gain = gain if better == "higher" else -gain
    if (gain > 0) != (result["outcome"] == "confirmed"):
        raise ChiasmError(
            f"{where}: field 'outcome' is {result['outcome']!r}, yet {result['metric']} is "
            f"{result['value']} against {result['baseline']} and {better} is better"
        )


def effect_records(slug: str, repository: Path = REPOSITORY) -> list[Record]:
    """The evidence records of a system's result files, in the order of their names."""
    found = []
    for path in sorted((repository / "results" / slug).glob("*.json")):
        result = read_result(path)
        name = f"results/{slug}/{path.name}"
        entry = {
            "grade": "effect",
            "what": f"{result['metric']} against its baseline ({path.stem})",
            "passed": True,  # a measured effect counts whatever its outcome
            "date": result.get("date", "unstated"),
            "result": name,
        }
        entry |= {key: result[key] for key in (*TEXTS, "seeds", *NUMBERS, "outcome")}
        check(entry, slug, name)
        found.append(entry)
    return found


def stale(repository: Path = REPOSITORY, folder: Path | None = None) -> dict[str, list[Record]]:
    """The systems whose shipped evidence differs from their results, with what it should be."""
    results = repository / "results"
    changed = {}
    for of in rows():
        old = read(of.slug, folder)
        new = [entry for entry in old if entry["grade"] != "effect"]
        if (results / of.slug).is_dir():
            new += effect_records(of.slug, repository)
        if in_order(new) != old:
            changed[of.slug] = new
    return changed


def fold(repository: Path = REPOSITORY, folder: Path | None = None) -> list[str]:
    """Bring the shipped evidence up to the repository's results; the slugs that changed."""
    changed = stale(repository, folder)
    for slug, records in changed.items():
        write(slug, records, folder)
    return list(changed)


def main(arguments: list[str] | None = None) -> int:
    """The command line: fold, or with `--check` only say what is stale."""
    parser = ArgumentParser(prog="python -m chiasm.catalogue.effects", description=fold.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    if not (REPOSITORY / "results").is_dir():
        raise Misuse("no results/ here: run this from a checkout of the repository")
    slugs = list(stale()) if options.check else fold()
    said = "stale" if options.check else "updated"
    print("\n".join(f"{said}: {row(slug).slug}" for slug in slugs) or "effects are up to date")
    return 1 if options.check and slugs else 0


if __name__ == "__main__":
    run(main)
