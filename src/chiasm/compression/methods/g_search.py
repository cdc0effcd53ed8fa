"""G-Search and P-Sigmoid (arXiv 2412.00556): a keep rate for every layer of the decoder.

Before layer l those visual tokens stay that the last row of the prompt attended to most in the
layer before, mean over heads; the first layer sees all. G-Search's rates are found offline for a
model (`chiasm.compression.rates.greedy_rates`) and given to it; P-Sigmoid's follow a falling
sigmoid, whose steepness and floor can be searched (`searched_curve`) and whose centre follows from
`keep`.
"""

from dataclasses import dataclass

from chiasm.compression.budgets import Nothing, Share
from chiasm.compression.evidence import Asks
from chiasm.compression.fates import Drop
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.rates import Rates, centred
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Attended
from chiasm.errors import Misuse


@register_method("g-search")
@dataclass(frozen=True, kw_only=True)
class GSearch:
    """Rates as they were found; without any, those of P-Sigmoid at `keep`."""

    keep: float
    rates: Rates = ()

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1 and not self.rates:
            return ()
        rates = self.rates or PSigmoid(keep=self.keep).rates(shape)
        check(rates, self.keep, shape)
        return falling(rates)


@register_method("p-sigmoid")
@dataclass(frozen=True, kw_only=True)
class PSigmoid:
    """A curve; without a `floor` a tenth of `keep`."""

    keep: float
    steepness: float = 20.0
    floor: float | None = None

    def rates(self, shape: HostShape) -> Rates:
        floor = self.keep / 10 if self.floor is None else self.floor
        steepness, first = self.steepness, shape.first
        return centred(self.keep, shape.depth, steepness=steepness, floor=floor, first=first)

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        return () if self.keep == 1 else falling(self.rates(shape))


def check(rates: Rates, keep: float, shape: HostShape) -> None:
    """Refuse rates of another decoder or budget.

    Raises:
        Misuse: of another number or mean, rising, or not 1 where rows may not go.
    """
    if len(rates) != shape.depth:
        raise Misuse(f"{len(rates)} rates are given, the decoder has {shape.depth} layers")
    early = [at for at in range(shape.first) if rates[at] != 1]
    rising = [at for at in range(1, len(rates)) if not 0 <= rates[at] <= rates[at - 1]]
    if early or rising:
        at = min(early + rising)
        raise Misuse(
            f"rate {rates[at]:g}, layer {at}, is wrong: rates are 1 up to layer {shape.first - 1}, "
            "then fall or stay"
        )
    mean = sum(rates) / len(rates)
    if abs(mean - keep) > 0.005:
        raise Misuse(f"these rates keep a mean of {mean:.4f}; give keep={mean:.4f}, not {keep:g}")


def falling(rates: Rates) -> tuple[Reducer, ...]:
    """A reducer before every layer that runs fewer tokens than the one before it."""
    steps = [
        (layer, rates[layer] / rates[layer - 1])
        for layer in range(1, len(rates))
        if rates[layer] < rates[layer - 1]
    ]
    return tuple(
        Reducer(
            site=Site(layer=layer),
            scope=Scope.SAMPLE,
            scorer=Attended(asks=Asks.LAST, back=1),
            budget=Share(share) if share else Nothing(),
            fate=Drop(),
        )
        for layer, share in steps
    )
