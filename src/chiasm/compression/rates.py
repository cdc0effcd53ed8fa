"""Keep rates of a decoder's layers: the least that lose nothing, and curves for a budget.

G-Search and P-Sigmoid (arXiv 2412.00556): r_l is the share of the original visual tokens that layer
l runs; rates never rise, and the first layers see all. A scorer is anything that says how good a
model is at given rates (accuracy on a few hundred samples, or agreement with the full model).
"""

import math
from collections.abc import Callable, Sequence

from chiasm.errors import Misuse

Rates = tuple[float, ...]
Score = Callable[[Rates], float]
"""How good a model is at these rates; higher is better."""


def greedy_rates(
    score: Score, depth: int, *, tolerance: float = 0.005, step: float = 0.02, first: int = 1
) -> Rates:
    """G-Search: layer by layer the least rate at which the score is the full model's less
    `tolerance` of it, shallower rates being fixed and deeper layers inheriting.

    Rates are multiples of `step`, found by bisection: where keeping more of a layer never hurts,
    and rankings of tokens agree between layers, no other rates of equal quality keep less.
    """
    if depth <= first:
        raise Misuse(f"layers from {first} on are searched, there are {depth}")
    levels = round(1 / step)
    full = score((1.0,) * depth)
    enough = full - tolerance * abs(full)
    rates: list[float] = [1.0] * first
    most = levels
    for layer in range(first, depth):
        low, high = 0, most  # `high` is enough: it is what the layer before keeps
        while low < high:
            middle = (low + high) // 2
            tried = (*rates, *((middle / levels,) * (depth - layer)))
            low, high = (low, middle) if score(tried) >= enough else (middle + 1, high)
        most = high
        rates.append(high / levels)
    return tuple(rates)


def sigmoid_rates(
    depth: int, *, steepness: float, floor: float, centre: float, first: int = 1
) -> Rates:
    """r_l = clip((1 - b) sigma(-k (l / L - c)) + b, 0, 1); 1 in the first layers."""
    falling = (
        (1 - floor) * _sigma(-steepness * (layer / depth - centre)) + floor
        for layer in range(first, depth)
    )
    return (*((1.0,) * first), *(min(1.0, max(0.0, rate)) for rate in falling))


def centred(
    budget: float,
    depth: int,
    *,
    steepness: float,
    floor: float,
    first: int = 1,
    cost: Callable[[float], float] = float,
) -> Rates:
    """The sigmoid rates whose costs come to `budget` on average over the layers, its centre found
    by bisection. `cost` of a rate is that of a layer over a full one's; by default the rate itself.

    Raises:
        Misuse: the budget is out of the curve's reach.
    """

    def rates(centre: float) -> Rates:
        return sigmoid_rates(depth, steepness=steepness, floor=floor, centre=centre, first=first)

    def spent(centre: float) -> float:
        return sum(map(cost, rates(centre))) / depth

    reach = 1 + 60 / steepness
    low, high = -reach, 1 + reach
    if not spent(low) - 1e-9 <= budget <= spent(high) + 1e-9:
        raise Misuse(
            f"a curve over {depth} layers, of which {first} see all, spends from {spent(low):.3g} "
            f"to {spent(high):.3g}; {budget:g} is out of its reach: take another floor"
        )
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) < budget else (low, middle)
    return rates(high)


def curve_of(rates: Sequence[float], first: int = 1) -> tuple[float, float]:
    """Steepness and floor of the sigmoid nearest to found rates, on a grid: where a search begins.

    The floor is the least rate found; of 25 slopes from 2 to 200 the one of least squares stays.
    """
    depth, mean = len(rates), sum(rates) / len(rates)
    floor = min(min(rates), 0.99)
    fits: list[tuple[float, float]] = []
    for at in range(25):
        slope = 2.0 * 100 ** (at / 24)
        try:
            fitted = centred(mean, depth, steepness=slope, floor=floor, first=first)
        except Misuse:
            continue
        fits.append((sum((a - b) ** 2 for a, b in zip(fitted, rates, strict=True)), slope))
    return (min(fits)[1] if fits else 10.0), floor


def searched_curve(
    score: Score,
    budget: float,
    depth: int,
    *,
    trials: int = 50,
    seed: int = 0,
    first: int = 1,
    cost: Callable[[float], float] = float,
    start: tuple[float, float] | None = None,
) -> Rates:
    """P-Sigmoid: the curve of the best score at a budget, over steepness and floor, by a Gaussian
    process of `trials` calls; `start` is a steepness and a floor to try first (`curve_of`).

    Raises:
        Misuse: Optuna is not installed, or no curve meets the budget.
    """
    try:
        import optuna
    except ImportError as error:
        raise Misuse("this search needs Optuna; install chiasm[tune]") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    steepest, lowest = (2.0, 200.0), (0.0, max(1e-6, min(budget, 0.99)))
    best: list[tuple[float, Rates]] = []

    def tried(trial: "optuna.Trial") -> float:
        slope = trial.suggest_float("steepness", *steepest, log=True)
        floor = trial.suggest_float("floor", *lowest)
        try:
            rates = centred(budget, depth, steepness=slope, floor=floor, first=first, cost=cost)
        except Misuse as error:
            raise optuna.TrialPruned(str(error)) from error
        value = score(rates)
        best.append((value, rates))
        return value

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GPSampler(seed=seed))
    if start is not None:
        slope, floor = start
        study.enqueue_trial(
            {
                "steepness": min(max(slope, steepest[0]), steepest[1]),
                "floor": min(max(floor, lowest[0]), lowest[1]),
            }
        )
    study.optimize(tried, n_trials=trials)
    if not best:
        raise Misuse(f"none of {trials} curves over {depth} layers meets the budget {budget:g}")
    return max(best, key=lambda one: one[0])[1]


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
