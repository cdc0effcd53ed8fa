"""Candidates reranked by the reader itself: each by a yes or no, or all in one prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.answering.records import Evidence
from chiasm.answering.requests import Judge, Order, permutation, yes
from chiasm.answering.steps.shown import Shown, shown

Ordered = Callable[[Sequence[int]], tuple[int, ...] | None]
"""From candidates, by number, in the order in which they are shown, to places in that order (from
1), best first; None where the answer is no order.
"""


@dataclass(frozen=True, kw_only=True)
class Pointwise:
    """Those that help before those that do not, each group in the order that it had."""

    name: ClassVar[str] = "pointwise rerank"
    show: Shown = Shown.BOTH

    def run(self, desk: Desk) -> None:
        question, candidates = desk.trace.asked().text, desk.candidates()
        scores: list[float] = []
        for one in shown(desk, candidates, self.show):
            meant = yes(desk.ask(Judge(question=question, candidate=one)))
            scores.append(0.5 if meant is None else float(meant))
        order = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
        desk.rank("pointwise", [(candidates[place].unit.id, scores[place]) for place in order])


@dataclass(frozen=True, kw_only=True)
class Listwise:
    """By the order that the reader says, averaged over all cyclic shifts of the prompt.

    Models prefer what stands first. Over all shifts every candidate stands once at every place,
    so that a preference of places adds the same to all. The shifts start from the order of the ids:
    the scores do not depend on the order in which candidates come.
    """

    name: ClassVar[str] = "listwise rerank"
    show: Shown = Shown.BOTH
    shifts: bool = True
    """Without: one prompt, in the order in which the candidates come."""

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        question, fronts = desk.trace.asked().text, shown(desk, candidates, self.show)
        unread = 0

        def ordered(places: Sequence[int]) -> tuple[int, ...] | None:
            nonlocal unread
            given: tuple[Evidence, ...] = tuple(fronts[place] for place in places)
            found = permutation(desk.ask(Order(question=question, candidates=given)), len(given))
            unread += found is None
            return found

        start = range(len(candidates))
        if self.shifts:
            start = sorted(start, key=lambda place: candidates[place].unit.id)
        scores = list_scores(start, ordered, shifts=self.shifts)
        if unread:
            desk.note(f"{unread} listwise answers were no order of the candidates and are left out")
        order = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
        desk.rank("listwise", [(candidates[place].unit.id, scores[place]) for place in order])


def list_scores(start: Sequence[int], ordered: Ordered, *, shifts: bool) -> list[float]:
    """Of each candidate the mean over shifts of (n - rank) / (n - 1): 1 for always first, 0 for
    always last; 0 for all where no answer was an order.
    """
    count = len(start)
    totals, read = [0.0] * count, 0
    if count == 1:
        return [1.0]
    for shift in range(count if shifts else min(1, count)):
        places = [*start[shift:], *start[:shift]]
        order = ordered(places)
        if order is None:
            continue
        read += 1
        for rank, number in enumerate(order, 1):
            totals[places[number - 1]] += (count - rank) / (count - 1)
    return [total / read for total in totals] if read else totals


def position_curve(ordered: Ordered, count: int, gold: int) -> list[bool]:
    """Whether the gold candidate is put first when it stands at place 1, 2, …, `count`; the mean
    over questions is the accuracy by position, its largest less its smallest the spread.
    """
    others = [number for number in range(count) if number != gold]
    curve: list[bool] = []
    for place in range(count):
        places = [*others[:place], gold, *others[place:]]
        order = ordered(places)
        curve.append(order is not None and places[order[0] - 1] == gold)
    return curve
