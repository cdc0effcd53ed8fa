"""A plan over pictures: found, looked at one by one, put into a table, and executed there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.database.grammar import parsed
from chiasm.answering.database.plans import GRAMMAR, Plan, Result, from_json
from chiasm.answering.database.retrieval import Retrieval, nearest, switched
from chiasm.answering.database.table import Row, executed, row, written_out
from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.numerals import number
from chiasm.answering.passages import whole
from chiasm.answering.records import Answered, Citation
from chiasm.answering.requests import HowMany
from chiasm.answering.requests import Plan as AskPlan


@dataclass(frozen=True, kw_only=True)
class LookAndAggregate:
    """The answer is the table's, never the reader's: it only says what each picture shows."""

    name: ClassVar[str] = "look and aggregate"
    k: int
    threshold: float | None = None
    retrieval: Retrieval = Retrieval.NEAREST
    relevant: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of each thing the units that truly show it, for the oracle switches."""

    def run(self, desk: Desk) -> None:
        plan = planned(desk)
        query = plan.query()
        desk.note(f"plan: {plan}")
        desk.note(f"SQL: {written_out(query)}")
        rows: list[Row] = []
        for thing in dict.fromkeys(plan.things):
            candidates = self._pictures(desk, thing)
            desk.rank(f"pictures for {thing}", [(one.unit.id, one.score) for one in candidates])
            rows += [row(one.unit, thing, _seen(desk, thing, one)) for one in candidates]
        arguments = {"sql": query[0], "parameters": list(query[1]), "rows": [list(r) for r in rows]}
        result = desk.call("DuckDB", arguments, lambda tools: (executed(rows, query), 0))
        desk.trace.append(_answered(desk, plan, result, rows))

    def _pictures(self, desk: Desk, thing: str) -> list[Candidate]:
        if self.retrieval == Retrieval.NEAREST:
            return nearest(desk, thing, self.k, self.threshold)
        return switched(desk, thing, self.retrieval, dict(self.relevant).get(thing, ()), self.k)


def planned(desk: Desk) -> Plan:
    """The question as a plan: JSON as it is given, a known sentence, or what the reader says.

    Raises:
        Misuse: none of them gives one.
    """
    question = desk.trace.asked().text
    if question.lstrip().startswith("{"):
        return from_json(question)
    plan = parsed(question)
    if plan is not None:
        return plan
    said = desk.ask(AskPlan(question=question, grammar=GRAMMAR))
    return from_json(said[said.find("{") : said.rfind("}") + 1])


def _seen(desk: Desk, thing: str, of: Candidate) -> int:
    return number(desk.ask(HowMany(thing=thing, beside=whole(of.unit).evidence(of.picture))))


def _answered(desk: Desk, plan: Plan, result: Result, rows: Sequence[Row]) -> Answered:
    """The result in words; a picture is cited where it shows some of what was looked for."""
    text, about = plan.answer(result)
    cited = [one for one in rows if one[4] > 0 and (about is None or one[0] in about)]
    return Answered(text=text, citations=tuple(_cited(desk, one) for one in cited))


def _cited(desk: Desk, of: Row) -> Citation:
    unit = desk.candidate(of[0]).unit
    return Citation(
        sentence=f"{unit.path} shows {of[4]} {of[3]}",
        supported=True,
        unit=unit.id,
        path=unit.path,
        page=unit.page,
        box=unit.box,
        start=unit.start,
        end=unit.end,
        quote=f"{of[4]} {of[3]}",
    )
