"""Six yes-or-no metrics of an answer and its evidence, given by a reader as judge (Beyond Text)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from chiasm.answering.desk import Desk
from chiasm.answering.records import Evidence
from chiasm.answering.requests import Grade
from chiasm.errors import Misuse


class Metric(StrEnum):
    CORRECTNESS = "answer correctness"
    RELEVANCY = "answer relevancy"
    TEXT_CONTEXT = "text context relevancy"
    IMAGE_CONTEXT = "image context relevancy"
    TEXT_FAITHFULNESS = "text faithfulness"
    IMAGE_FAITHFULNESS = "image faithfulness"


_ASKS: Mapping[Metric, str] = {
    Metric.CORRECTNESS: "Does the answer say the same as the reference answer?",
    Metric.RELEVANCY: "Does the answer respond to the question?",
    Metric.TEXT_CONTEXT: "Do the quoted texts help to answer the question?",
    Metric.IMAGE_CONTEXT: "Does the picture help to answer the question?",
    Metric.TEXT_FAITHFULNESS: "Does all that the answer says follow from the quoted texts?",
    Metric.IMAGE_FAITHFULNESS: "Does all that the answer says follow from the picture?",
}
_TEXT = (Metric.TEXT_CONTEXT, Metric.TEXT_FAITHFULNESS)
_IMAGE = (Metric.IMAGE_CONTEXT, Metric.IMAGE_FAITHFULNESS)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One metric: 1, 0, or None where there is nothing to judge or the judge gave no verdict."""

    metric: Metric
    grade: int | None
    reason: str


def graded(desk: Desk, reference: str) -> list[Verdict]:
    """All six for the answer in the trace; every judgement is a call of its own, and replays."""
    desk.step = "grade"
    evidence = desk.trace.evidence()
    texts = tuple(one for one in evidence if one.picture is None and one.quote.strip())
    images = tuple(one for one in evidence if one.picture is not None)
    return [_verdict(desk, metric, reference, texts, images) for metric in Metric]


def mean(verdicts: Sequence[Verdict]) -> float:
    """Over the verdicts that there are; those that do not apply are left out, not counted as 0.

    Raises:
        Misuse: there is none.
    """
    grades = [one.grade for one in verdicts if one.grade is not None]
    if not grades:
        raise Misuse("no verdict applies; there is no mean")
    return fmean(grades)


def _verdict(
    desk: Desk,
    metric: Metric,
    reference: str,
    texts: tuple[Evidence, ...],
    images: tuple[Evidence, ...],
) -> Verdict:
    shown = texts if metric in _TEXT else images if metric in _IMAGE else ()
    if metric in (*_TEXT, *_IMAGE) and not shown:
        return Verdict(metric=metric, grade=None, reason="not applicable: no such evidence")
    request = Grade(
        metric=metric.value,
        asks=_ASKS[metric],
        question=desk.trace.asked().text,
        answer=desk.trace.answered().text,
        reference=reference if metric == Metric.CORRECTNESS else "",
        evidence=shown,
    )
    said = desk.ask(request)
    try:
        read = json.loads(said[said.find("{") : said.rfind("}") + 1])
        grade, reason = read["grade"], str(read["reason"])
    except (ValueError, TypeError, KeyError):
        grade, reason = None, ""
    if type(grade) is not int or grade not in (0, 1):
        return Verdict(metric=metric, grade=None, reason=f"the judge gave no verdict: {said[:200]}")
    return Verdict(metric=metric, grade=grade, reason=reason)
