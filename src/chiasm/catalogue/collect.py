"""A pytest plugin that turns marked tests into evidence.

    @pytest.mark.evidence(slug="saisa", grade="lawful")

    pytest -p chiasm.catalogue.collect --record-evidence tests/laws
    python -m chiasm.catalogue.collect tests/laws          # the same

At the end of the session each (slug, grade) whose marked tests all ran and passed gets a passing
record; one with a failed test gets a failing record, so that a grade can be lost. Where marked
tests were skipped, deselected or never reached, nothing is written: part of the tests proves
nothing. Works under xdist: the marks travel with the reports and the controller writes.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from chiasm.catalogue import evidence, provenance
from chiasm.catalogue.command import run
from chiasm.catalogue.rows import row
from chiasm.errors import ChiasmError

WHAT = {  # by the grade that a test can claim; an effect is measured, not tested
    "builds": "build and training-step tests",
    "lawful": "law and card tests",
    "matches": "parity tests",
}
SEVERITY = ("passed", "skipped", "failed")
MARK = "evidence"

Claim = tuple[str, str]  # slug, grade


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch, and the folder to write to."""
    group = parser.getgroup("chiasm")
    group.addoption("--record-evidence", action="store_true", help="write evidence from this run")
    group.addoption("--evidence-dir", type=Path, help="write it here, not into the catalogue")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark; with the switch on, start collecting."""
    config.addinivalue_line(
        "markers", f"{MARK}(slug, grade): this test speaks for a system's {', '.join(WHAT)}"
    )
    if config.getoption("record_evidence"):
        config.pluginmanager.register(Collector(config), "chiasm-evidence")


def claims(item: pytest.Item) -> list[Claim]:
    """What a test's marks claim; a mark that names no system or no grade stops the session."""
    found = []
    for mark in item.iter_markers(MARK):
        slug, grade = mark.kwargs.get("slug"), mark.kwargs.get("grade")
        if slug is None or grade is None or mark.args or len(mark.kwargs) > 2:
            raise pytest.UsageError(f"{item.nodeid}: write @pytest.mark.{MARK}(slug=, grade=)")
        try:
            known = row(slug)
        except ChiasmError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from error
        allowed = [step for step in evidence.earnable(known) if step in WHAT]
        if grade not in allowed:
            raise pytest.UsageError(
                f"{item.nodeid}: a test of {slug} can claim {', '.join(allowed)}, not {grade!r}"
            )
        found.append((known.slug, grade))
    return list(dict.fromkeys(found))


class Collector:
    """Counts the marked tests that were due, passed and failed, and writes at the end."""

    def __init__(self, config: pytest.Config) -> None:
        """Start with nothing counted; on an xdist worker, with a place to report to."""
        self.config = config
        self.worker_output: dict | None = getattr(config, "workeroutput", None)
        self.due: Counter[Claim] = Counter()
        self.partial: set[Claim] = set()
        self.marked: dict[str, list[Claim]] = {}
        self.outcome: dict[str, str] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Attach the claims to the item's reports."""
        item.user_properties += [(MARK, f"{slug} {grade}") for slug, grade in claims(item)]

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """A claim with a deselected test cannot be settled by this run."""
        self.partial.update(claim for item in items for claim in claims(item))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is due; a worker tells the controller."""
        self.due.update(claim for item in session.items for claim in claims(item))
        if self.worker_output is not None:
            self.worker_output["evidence_due"] = [(*claim, n) for claim, n in self.due.items()]
            self.worker_output["evidence_partial"] = [list(claim) for claim in self.partial]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what an xdist worker counted; every worker collects all tests."""
        output = getattr(node, "workeroutput", {})
        for slug, grade, number in output.get("evidence_due", ()):
            self.due[slug, grade] = number
        self.partial.update((slug, grade) for slug, grade in output.get("evidence_partial", ()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a marked test's phases."""
        texts = [str(value) for name, value in report.user_properties if name == MARK]
        if not texts:
            return
        self.marked[report.nodeid] = [(slug, grade) for slug, grade in map(str.split, texts)]
        before = self.outcome.get(report.nodeid, "passed")
        self.outcome[report.nodeid] = max(before, report.outcome, key=SEVERITY.index)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the records, on the controller only."""
        if self.worker_output is not None:
            return
        settled: dict[Claim, Counter[str]] = defaultdict(Counter)
        for nodeid, found in self.marked.items():
            for claim in found:
                settled[claim][self.outcome[nodeid]] += 1
        shared = self.shared_fields()
        for claim, counts in sorted(settled.items()):
            whole = counts["passed"] == self.due[claim] and claim not in self.partial
            if counts["failed"] or whole:
                evidence.record(
                    *claim,
                    folder=self.config.getoption("evidence_dir"),
                    what=WHAT[claim[1]],
                    passed=not counts["failed"],
                    tests=counts.total(),
                    **shared,
                )

    def shared_fields(self) -> dict[str, object]:
        """What every record of this run has in common."""
        root = self.config.rootpath
        commit, clean = provenance.commit(root)
        arguments = provenance.shareable(self.config.invocation_params.args, root)
        return {
            "command": f"python -m pytest {arguments}",
            "commit": commit,
            "clean": clean,
            "machine": provenance.machine(),
            **provenance.versions(),
        }


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with this plugin, recording."""
    given = sys.argv[1:] if arguments is None else arguments
    return int(pytest.main(["-p", "chiasm.catalogue.collect", "--record-evidence", *given]))


if __name__ == "__main__":
    run(main)
