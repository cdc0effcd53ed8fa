"""The generated parts of the README: the systems by grade.

    python -m chiasm.catalogue.readme            # rewrite the blocks in README.md
    python -m chiasm.catalogue.readme --check    # exit 1 if README.md is stale

A block stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. `BLOCKS` maps each name to
the function that writes its body.
"""

import ast
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from chiasm.catalogue.command import run
from chiasm.catalogue.effects import REPOSITORY
from chiasm.catalogue.evidence import GRADES, OUTCOMES, grade, outcomes
from chiasm.catalogue.rows import Row, rows
from chiasm.errors import ChiasmError, Misuse
from chiasm.evaluation.committed import results_block
from chiasm.evaluation.committed_compress import compress_block
from chiasm.evaluation.committed_effects import effects_block
from chiasm.evaluation.committed_files import table
from chiasm.evaluation.committed_ratios import ratios_block
from chiasm.evaluation.committed_search import search_block

SYSTEM_FILES = Path(__file__).parents[1] / "systems"


def replace_block(text: str, name: str, body: str) -> str:
    """`text` with `body` between the markers of block `name`, which must stand there once."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ChiasmError(f"block {name!r} needs {begin} and then {end}, once each")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{body.strip()}\n{end}{after}"


def systems_block() -> str:
    """Counts by grade, then every system whose grade is above listed, highest first."""
    graded = [(of, grade(of.slug)) for of in rows()]
    counts = Counter(earned for _, earned in graded)
    seen = Counter(
        outcome for of, earned in graded if earned == "effect" for outcome in outcomes(of.slug)
    )
    held = ", ".join(f"{outcome} {seen[outcome]}" for outcome in OUTCOMES if seen[outcome])
    summary = [(step, str(counts[step])) for step in GRADES]
    if held:
        summary[-1] = (f"effect ({held})", str(counts["effect"]))
    shown = [(of, earned) for of, earned in graded if earned != "listed"]
    shown.sort(key=lambda pair: (-GRADES.index(pair[1]), pair[0].no))
    lines = [
        (f"`{of.slug}`", of.title, of.family, said(of, earned), differences().get(of.slug, ""))
        for of, earned in shown
    ]
    return "\n\n".join(
        (
            f"{len(graded)} systems, by the evidence that this repository holds for them:",
            table(("grade", "systems"), summary),
            table(("system", "paper", "family", "grade", "what differs"), lines),
        )
    )


def said(of: Row, earned: str) -> str:
    """The grade as the README shows it: an effect with its outcome."""
    return f"effect: {', '.join(outcomes(of.slug))}" if earned == "effect" else earned


@cache
def differences() -> dict[str, str]:
    """What each system changes in its parent, by slug.

    Read from the source of `systems/`, the `slug=` and the card's `differs=` of each file, so that
    writing a README builds no model.
    """
    found = {}
    for path in sorted(SYSTEM_FILES.glob("**/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            slug, card = keyword(call, "slug"), keyword(call, "card")
            differs = keyword(card, "differs") if isinstance(card, ast.Call) else None
            if isinstance(slug, ast.Constant) and isinstance(differs, ast.Constant):
                found[str(slug.value)] = " ".join(str(differs.value).split())
    return found


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument that a call passes by this name."""
    return next((given.value for given in call.keywords if given.arg == name), None)


BLOCKS: dict[str, Callable[[], str]] = {
    "systems": systems_block,
    "results": lambda: results_block(REPOSITORY / "results"),
    "ratios": lambda: ratios_block(REPOSITORY / "results"),
    "compress": lambda: compress_block(REPOSITORY / "results"),
    "search": lambda: search_block(REPOSITORY / "results"),
    "effects": lambda: effects_block(REPOSITORY / "results"),
}


def regenerate(text: str) -> str:
    """The README with every block written anew."""
    for name, body in BLOCKS.items():
        text = replace_block(text, name, body())
    return text


def main(arguments: list[str] | None = None) -> int:
    """The command line: rewrite, or with `--check` only compare."""
    parser = ArgumentParser(
        prog="python -m chiasm.catalogue.readme", description=regenerate.__doc__
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    parser.add_argument("--file", type=Path, default=REPOSITORY / "README.md", help="the README")
    options = parser.parse_args(arguments)
    if not options.file.is_file():
        raise Misuse(f"no {options.file.name} here: run this from a checkout of the repository")
    old = options.file.read_text(encoding="utf-8")
    new = regenerate(old)
    if options.check:
        print(
            "README is stale: run python -m chiasm.catalogue.readme"
            if new != old
            else "README is up to date"
        )
        return int(new != old)
    options.file.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    run(main)
