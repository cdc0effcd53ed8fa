"""The fit of a scaling law finds known constants, and solves them for a budget."""

from random import Random

import pytest

from chiasm.errors import Misuse
from chiasm.evaluation.scaling import Run, ScalingLaw, bootstrap, fit, interval

lawful = pytest.mark.evidence(slug="nmm-scaling", grade="lawful")
CHINCHILLA = ScalingLaw(floor=1.69, parameters=406.4, alpha=0.34, tokens=410.7, beta=0.28)
MULTIMODAL = ScalingLaw(floor=1.25, parameters=78.0, alpha=0.22, tokens=950.0, beta=0.36)
SMALL = ScalingLaw(floor=0.6, parameters=30.0, alpha=0.45, tokens=12.0, beta=0.3)
GRIDS = {
    "large": ([1e8, 3e8, 1e9, 3e9, 1e10], [2e9, 1e10, 4e10, 2e11, 1e12]),
    "small": ([2e4, 6e4, 2e5, 6e5], [1e4, 4e4, 2e5, 1e6]),
}


def runs(law: ScalingLaw, grid: str, noise: float = 0.0, seed: int = 0) -> list[Run]:
    draw, (sizes, tokens) = Random(seed), GRIDS[grid]
    return [
        Run(n=n, d=d, loss=law.loss(n, d) * (1 + noise * draw.gauss(0, 1)))
        for n in sizes
        for d in tokens
    ]


@lawful
@pytest.mark.parametrize(
    ("law", "grid"),
    [(CHINCHILLA, "large"), (MULTIMODAL, "large"), (SMALL, "small")],
    ids=["chinchilla", "multimodal", "small"],
)
def test_known_constants_are_found_within_two_percent(law, grid):
    found = fit(runs(law, grid))
    for name in ("floor", "parameters", "alpha", "tokens", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(law, name), rel=0.02), name


@lawful
def test_with_noise_the_bootstrap_covers_the_exponents():
    measured = runs(SMALL, "small", noise=0.003)
    laws = bootstrap(measured, fit(measured), resamples=10)
    low, high = interval([law.parameter_exponent for law in laws])
    assert low < SMALL.parameter_exponent < high
    assert high - low < 0.3


@lawful
@pytest.mark.parametrize("law", [CHINCHILLA, MULTIMODAL, SMALL])
def test_exponents_add_up_to_one_and_the_best_sizes_are_the_best(law):
    assert law.parameter_exponent + law.token_exponent == pytest.approx(1)
    flops = 6e18
    n, d = law.best(flops)
    assert 6 * n * d == pytest.approx(flops)
    for other in (0.9, 1.1):
        assert law.loss(n, d) < law.loss(other * n, d / other)
    more = law.best(10 * flops)[0] / n
    assert more == pytest.approx(10**law.parameter_exponent)


@lawful
def test_one_wild_run_moves_the_law_little():
    """Huber's loss grows with a run's error only linearly."""
    measured = runs(CHINCHILLA, "large")
    wild = [*measured[:-1], Run(n=measured[-1].n, d=measured[-1].d, loss=2 * measured[-1].loss)]
    assert fit(wild).alpha == pytest.approx(CHINCHILLA.alpha, rel=0.1)


def test_runs_that_decide_nothing_are_refused():
    measured = runs(SMALL, "small")
    with pytest.raises(Misuse, match="5 runs do not decide five constants"):
        fit(measured[:5])
    with pytest.raises(Misuse, match="all runs have one D"):
        fit([Run(n=r.n, d=1e4, loss=r.loss) for r in measured])
