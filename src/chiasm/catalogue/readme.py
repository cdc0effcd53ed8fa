"""The generated parts of the README and of the pages behind it.

    python -m chiasm.catalogue.readme            # rewrite the blocks, and draw the plot
    python -m chiasm.catalogue.readme --check    # exit 1 if a page is stale

A block stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. `PAGES` maps each page to the
functions that write the bodies of its blocks.
"""

import ast
import hashlib
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
from chiasm.evaluation.committed import compared, results_block
from chiasm.evaluation.committed_compress import compress_block
from chiasm.evaluation.committed_effects import effects_block
from chiasm.evaluation.committed_files import table
from chiasm.evaluation.committed_ratios import ratios_block
from chiasm.evaluation.committed_search import search_block
from chiasm.evaluation.plots import accuracy_against_flops

SYSTEM_FILES = Path(__file__).parents[1] / "systems"


def replace_block(text: str, name: str, body: str) -> str:
    """`text` with `body` between the markers of block `name`, which must stand there once."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ChiasmError(f"block {name!r} needs {begin} and then {end}, once each")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{body.strip()}\n{end}{after}"


def grades_block() -> str:
    """Counts of systems by grade."""
    graded = [(of, grade(of.slug)) for of in rows()]
    counts = Counter(earned for _, earned in graded)
    seen = Counter(
        outcome for of, earned in graded if earned == "effect" for outcome in outcomes(of.slug)
    )
    held = ", ".join(f"{outcome} {seen[outcome]}" for outcome in OUTCOMES if seen[outcome])
    summary = [(step, str(counts[step])) for step in GRADES]
    if held:
        summary[-1] = (f"effect ({held})", str(counts["effect"]))
    told = f"{len(graded)} systems, by the evidence that this repository holds for them:"
    return f"{told}\n\n{table(('grade', 'systems'), summary)}"


def systems_block() -> str:
    """Every system whose grade is above listed, highest first."""
    graded = ((of, grade(of.slug)) for of in rows())
    shown = [(of, earned) for of, earned in graded if earned != "listed"]
    shown.sort(key=lambda pair: (-GRADES.index(pair[1]), pair[0].no))
    lines = [
        (f"`{of.slug}`", of.title, of.family, said(of, earned), differences().get(of.slug, ""))
        for of, earned in shown
    ]
    return table(("system", "paper", "family", "grade", "what differs"), lines)


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


RESULTS = REPOSITORY / "results"
COMPARED = RESULTS / "compare" / "easy-vqa-nano.json"
"""What the plot shows."""
PLOT = Path("docs/accuracy.svg")
PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {"grades": grades_block, "results": lambda: results_block(RESULTS)},
    Path("docs/systems.md"): {"systems": systems_block},
    Path("docs/measured.md"): {
        "ratios": lambda: ratios_block(RESULTS),
        "search": lambda: search_block(RESULTS),
        "compress": lambda: compress_block(RESULTS),
        "effects": lambda: effects_block(RESULTS),
    },
}


def regenerate(page: Path, text: str) -> str:
    """A page with every block written anew."""
    for name, body in PAGES[page].items():
        text = replace_block(text, name, body())
    return text


def stamp() -> str:
    """What the plot says of the record that it was drawn from."""
    return f"<!-- {hashlib.sha256(COMPARED.read_bytes()).hexdigest()} -->"


def main(arguments: list[str] | None = None) -> int:
    """The command line: rewrite, or with `--check` only compare."""
    parser = ArgumentParser(
        prog="python -m chiasm.catalogue.readme", description=regenerate.__doc__
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the checkout")
    options = parser.parse_args(arguments)
    stale: list[Path] = []
    for page in PAGES:
        path = options.root / page
        if not path.is_file():
            raise Misuse(f"no {page} here: run this from a checkout of the repository")
        old = path.read_text(encoding="utf-8")
        new = regenerate(page, old)
        if new != old:
            stale.append(page)
            if not options.check:
                path.write_text(new, encoding="utf-8")
    plot = options.root / PLOT
    if not plot.is_file() or stamp() not in plot.read_text(encoding="utf-8"):
        stale.append(PLOT)
        if not options.check:
            drawn = accuracy_against_flops(*compared(COMPARED))
            plot.write_text(f"{drawn.rstrip()}\n{stamp()}\n", encoding="utf-8")
    if options.check:
        names = ", ".join(map(str, stale))
        print(f"stale: {names}; run python -m chiasm.catalogue.readme" if stale else "up to date")
        return int(bool(stale))
    return 0


if __name__ == "__main__":
    run(main)
