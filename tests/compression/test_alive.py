"""Tokens alive by layer, as budgets say them and as reducers leave them."""

from dataclasses import dataclass

import pytest
import torch

from chiasm.compression.alive import counted, in_proportion
from chiasm.compression.budgets import Count, Share
from chiasm.compression.evidence import Evidence
from chiasm.compression.fates import Drop
from chiasm.compression.method import HostShape, method
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Drawn

SHAPE = HostShape(depth=13, first=1, blocks=7, class_token=True)


def reducer(layer, budget, scope=Scope.SAMPLE):
    drawn = Drawn(seed=0)
    return Reducer(site=Site(layer=layer), scope=scope, scorer=drawn, budget=budget, fate=Drop())


def run(reducers, items, depth):
    """Tokens alive by layer when the reducers are run on tokens."""
    item = torch.tensor([i for i, units in enumerate(items) for n in units for _ in range(n)])
    unit = torch.tensor([u for units in items for u, n in enumerate(units) for _ in range(n)])
    now, alive, waiting = torch.arange(len(item)), [], list(reducers)
    for layer in range(depth):
        while waiting and waiting[0].site.layer == layer:
            one = waiting.pop(0)
            key = {
                Scope.UNIT: item[now] * 100 + unit[now],
                Scope.ITEM: item[now],
                Scope.SAMPLE: torch.zeros_like(now),
            }[one.scope]
            left = []
            for group in key.unique():
                members = now[key == group]
                evidence = Evidence(
                    hidden=members.unsqueeze(1).float(),
                    item=item[members],
                    unit=unit[members],
                    place=torch.zeros(len(members), 2, dtype=torch.long),
                    row=members,
                )
                left.append(members[one.reduce(evidence).index])
            now = torch.cat(left).sort().values
        alive.append(len(now))
    return tuple(alive)


@pytest.mark.parametrize(
    "reducers",
    [
        (),
        (reducer(0, Share(0.3), Scope.UNIT),),
        (reducer(0, Count(5), Scope.UNIT), reducer(0, Share(0.5), Scope.ITEM)),
        (reducer(2, Share(0.6)), reducer(7, Count(11)), reducer(7, Share(0.5))),
        (reducer(0, Count(3), Scope.ITEM), reducer(12, Share(0.01))),
    ],
)
def test_counts_are_those_that_reducers_leave(reducers):
    items = ((17, 13), (23,))
    found = counted(reducers, items, 13)
    assert found.alive == run(reducers, items, 13)
    assert [step.before for step in found.steps[:1]] == [53] * bool(reducers)
    assert found.keep == pytest.approx(sum(found.alive) / (13 * 53))


@pytest.mark.parametrize("name", ["random", "uniform", "fastv"])
def test_keep_is_the_mean_share_of_tokens_alive(name):
    found = counted(method(name, keep=0.31).reducers(SHAPE), ((577,),), SHAPE.depth)
    assert found.keep == pytest.approx(0.31, abs=1 / 577)


@dataclass(frozen=True)
class AboveMean:
    """Follows the scores; a third on average, it says."""

    def count(self, scores):
        return int((scores > scores.mean()).sum())

    def expected(self, tokens):
        return tokens // 3


def test_a_budget_that_follows_the_scores_counts_what_it_expects():
    found = counted((reducer(3, AboveMean()),), ((31,),), 5)
    assert found.alive == (31, 31, 31, 10, 10)


def test_no_image_has_nothing_alive():
    assert counted((reducer(1, Share(0.5)),), (), 3).alive == (0, 0, 0)
    assert counted((), (), 3).keep == 1


def test_what_is_shared_out_adds_up():
    assert in_proportion((10, 10, 10), 10) == [4, 3, 3]
    assert in_proportion((1, 99), 50) == [0, 50] or sum(in_proportion((1, 99), 50)) == 50
    assert in_proportion((7, 0, 14), 21) == [7, 0, 14]
