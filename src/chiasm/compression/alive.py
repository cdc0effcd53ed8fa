"""How many visual tokens are alive in each decoder layer, from a method's budgets alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from chiasm.compression.reducer import Adaptive, Budget, Reducer, Scope

Items = tuple[tuple[int, ...], ...]
"""Visual tokens of each unit (tile, frame) of each item."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One reducer at work."""

    reducer: Reducer
    groups: tuple[tuple[int, int], ...]
    """Tokens before and after, of each group among which it chooses."""

    @property
    def before(self) -> int:
        return sum(before for before, _ in self.groups)

    @property
    def after(self) -> int:
        return sum(after for _, after in self.groups)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What becomes of a sample's visual tokens."""

    items: Items
    """As they come from the encoder."""
    alive: tuple[int, ...]
    """Tokens that each decoder layer runs."""
    steps: tuple[Step, ...]

    @property
    def keep(self) -> float:
        """Share alive, averaged over the layers: the budget of `Method.keep`."""
        whole = _sum(self.items)
        return sum(self.alive) / (len(self.alive) * whole) if whole else 1.0


def counted(reducers: Sequence[Reducer], items: Items, depth: int) -> Counted:
    """The tokens that `depth` layers run when `reducers`, ascending by site, have done their work.

    Tokens of a group are worth the same here: budgets that follow the scores count what they
    expect. A group of several units spreads what it keeps over them in proportion.
    """
    alive = [0] * depth
    steps: list[Step] = []
    now, layer = items, 0
    for reducer in reducers:
        alive[layer : reducer.site.layer] = [_sum(now)] * (reducer.site.layer - layer)
        layer = reducer.site.layer
        groups = [_budgeted(reducer.budget, sum(units)) for units in _groups(now, reducer.scope)]
        steps.append(Step(reducer=reducer, groups=tuple(groups)))
        now = _spread(now, reducer.scope, [after for _, after in groups])
    alive[layer:] = [_sum(now)] * (depth - layer)
    return Counted(items=items, alive=tuple(alive), steps=tuple(steps))


def _budgeted(budget: Budget, tokens: int) -> tuple[int, int]:
    if isinstance(budget, Adaptive):
        return tokens, min(tokens, budget.expected(tokens))
    return tokens, min(tokens, budget.count(torch.zeros(tokens)))


def _groups(items: Items, scope: Scope) -> list[tuple[int, ...]]:
    """The units of each group."""
    if scope is Scope.UNIT:
        return [(unit,) for units in items for unit in units]
    if scope is Scope.ITEM:
        return list(items)
    return [tuple(unit for units in items for unit in units)]


def _spread(items: Items, scope: Scope, kept: Sequence[int]) -> Items:
    flat = [
        unit
        for units, count in zip(_groups(items, scope), kept, strict=True)
        for unit in in_proportion(units, count)
    ]
    ends = torch.tensor([0, *map(len, items)]).cumsum(0).tolist()
    return tuple(tuple(flat[start:end]) for start, end in pairwise(ends))


def in_proportion(parts: Sequence[int], count: int) -> list[int]:
    """`count` shared out over parts in proportion to their sizes, by largest remainders."""
    whole = sum(parts)
    if not whole:
        return [0] * len(parts)
    shares = [part * count // whole for part in parts]
    left = sorted(range(len(parts)), key=lambda at: -(parts[at] * count % whole))
    for at in left[: count - sum(shares)]:
        shares[at] += 1
    return shares


def _sum(items: Items) -> int:
    return sum(map(sum, items))
