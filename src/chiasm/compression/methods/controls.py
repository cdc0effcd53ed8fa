"""The controls that every method has to beat: `random` and `uniform`, before the first layer."""

from dataclasses import dataclass

from chiasm.compression.budgets import Share
from chiasm.compression.fates import Drop, EvenlySpaced
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Alike, Drawn


@register_method("random")
@dataclass(frozen=True, kw_only=True)
class RandomTokens:
    """Tokens drawn with equal chance, item by item."""

    keep: float
    seed: int = 0

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        return (
            Reducer(
                site=Site(),
                scope=Scope.ITEM,
                scorer=Drawn(seed=self.seed),
                budget=Share(self.keep),
                fate=Drop(),
            ),
        )


@register_method("uniform")
@dataclass(frozen=True, kw_only=True)
class UniformTokens:
    """Every n-th token of an item."""

    keep: float

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        return (
            Reducer(
                site=Site(),
                scope=Scope.ITEM,
                scorer=Alike(),
                budget=Share(self.keep),
                fate=EvenlySpaced(),
            ),
        )
