"""LINAS: measure some genomes, predict the others, search on predictions, measure the best
(arXiv 2205.10358; with bits among the genes, SimQ-NAS, arXiv 2312.13301).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from chiasm.elastic.fronts import Point, fronts, spread
from chiasm.elastic.predictor import Predictor
from chiasm.elastic.space import Genome, Space
from chiasm.errors import Misuse

Measure = Callable[[Genome], Point]
"""A genome's accuracy and bytes, measured."""


@dataclass(frozen=True, kw_only=True)
class Linas:
    """How much is measured, and how far predictions are searched in between."""

    first: int = 50
    """Random genomes, measured before anything is predicted."""
    each: int = 50
    """Genomes measured in every later round."""
    budget: int = 200
    """Measurements in all."""
    evaluations: int = 20_000
    """Predictions of each round's NSGA-II."""
    population: int = 50

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.budget or self.each < 1:
            raise Misuse(
                f"{self.first} first measurements of {self.budget}, {self.each} a round: give at "
                "least 2 first ones, within the budget, and at least 1 a round"
            )


def linas(
    space: Space,
    measure: Measure,
    settings: Linas,
    *,
    seed: int = 0,
    tell: Callable[[int, dict[str, str]], object] = lambda measured, kinds: None,
) -> dict[Genome, Point]:
    """Everything measured, in order. No genome is measured twice.

    `tell` hears, before each round, how many are measured and which predictors were better.
    """
    draw, found = Random(seed), dict[Genome, Point]()
    for genome in unseen(space, settings.first, draw, found):
        found[genome] = measure(genome)
    while len(found) < settings.budget:
        genomes, points = list(found), list(found.values())
        right, size = (
            Predictor(space, genomes, [point[at] for point in points]) for at in range(2)
        )
        tell(len(found), {"accuracy": right.kind, "bytes": size.kind})
        wanted = min(settings.each, settings.budget - len(found))
        chosen = proposed(
            space,
            lambda asked, right=right, size=size: [
                (float(a), float(b)) for a, b in zip(right(asked), size(asked), strict=True)
            ],
            found,
            wanted,
            settings,
            seed=seed + len(found),
        )
        chosen += unseen(space, wanted - len(chosen), draw, {**found, **dict.fromkeys(chosen)})
        if not chosen:
            break  # the whole space is measured
        for genome in chosen:
            found[genome] = measure(genome)
    return found


def unseen(space: Space, count: int, draw: Random, seen: dict[Genome, Any]) -> list[Genome]:
    """Random genomes, all different; fewer where a thousand draws in a row bring none."""
    found, missed = dict[Genome, None](), 0
    while len(found) < count and missed < 1000:
        genome = space.random(draw)
        fresh = genome not in seen and genome not in found
        missed = 0 if fresh else missed + 1
        if fresh:
            found[genome] = None
    return list(found)


def proposed(
    space: Space,
    predict: Callable[[Sequence[Genome]], list[Point]],
    seen: dict[Genome, Any],
    count: int,
    settings: Linas,
    *,
    seed: int,
) -> list[Genome]:
    """The `count` best unseen genomes that NSGA-II (Deb et al. 2002) meets on predictions."""
    study, distributions = _study(space, settings.population, seed)
    met: dict[Genome, Point] = {}
    for first in range(0, settings.evaluations, settings.population):
        size = min(settings.population, settings.evaluations - first)
        trials = [study.ask(distributions) for _ in range(size)]
        genomes = [_genome(space, trial.params) for trial in trials]
        for trial, genome, point in zip(trials, genomes, predict(genomes), strict=True):
            study.tell(trial, point)
            met[genome] = point
    fresh = [genome for genome in met if genome not in seen]
    points, chosen = [met[genome] for genome in fresh], list[int]()
    for front in fronts(points):
        chosen += spread(points, front, count - len(chosen))
        if len(chosen) == count:
            break
    return [fresh[at] for at in chosen]


def _study(space: Space, population: int, seed: int) -> tuple[Any, dict[str, Any]]:
    try:
        import optuna
    except ImportError:
        raise Misuse("searches need Optuna; install it with: pip install 'chiasm[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(population_size=population, seed=seed),
    )
    choose = optuna.distributions.CategoricalDistribution
    free = [gene for gene in space.genes if len(gene.choices) > 1]
    return study, {gene.name: choose(gene.choices) for gene in free}


def _genome(space: Space, params: Mapping[str, int]) -> Genome:
    """The genome of a trial, in which genes of one choice are not asked for."""
    return space.canonical([params.get(gene.name, gene.choices[0]) for gene in space.genes])


def architectures_then_int8(
    space: Space, measure: Measure, settings: Linas, *, seed: int = 0
) -> dict[Genome, Point]:
    """The baseline: architectures are searched at full precision, then the best are quantised.

    The last round's measurements go to the best architectures with every matrix of the fewest
    bits, so that both ways measure equally often.
    """
    most, least = space.bits[-1], space.bits[0]
    plain = space.only(most)
    budget = settings.budget - settings.each
    found = linas(
        plain,
        measure,
        Linas(
            first=min(settings.first, budget),
            each=settings.each,
            budget=budget,
            evaluations=settings.evaluations,
            population=settings.population,
        ),
        seed=seed,
    )
    genomes, points, chosen = list(found), list(found.values()), list[int]()
    for front in fronts(points):
        chosen += spread(points, front, settings.each - len(chosen))
        if len(chosen) == settings.each:
            break
    for at in chosen:
        small = space.with_bits(genomes[at], least)
        found[small] = measure(small)
    return found
