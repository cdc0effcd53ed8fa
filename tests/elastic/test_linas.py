"""The search: fronts, hypervolume, predictors, and LINAS on a made-up measurement."""

from itertools import product
from random import Random

import numpy as np
import pytest

from chiasm.elastic import (
    Genome,
    Linas,
    Point,
    Predictor,
    Space,
    architectures_then_int8,
    dominates,
    fronts,
    hypervolume,
    linas,
    spread,
)
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="simq-nas", grade="lawful")

SPACE = Space(
    depths=(1, 2, 3),
    heads=(1, 2),
    hidden=(3, 5, 7),
    matrices=tuple((f"matrix {layer} {at}", layer) for layer in range(3) for at in range(2)),
)
QUICK = Linas(first=20, each=15, budget=50, evaluations=60, population=10)


def measured(genome: Genome) -> Point:
    """Deeper and wider is better; one matrix a layer suffers from few bits, the other does not."""
    depth, heads, hidden = SPACE.architecture(genome)
    bits = SPACE.bits_of(genome)
    harmed = sum(value == 8 and name.endswith("0") for name, value in bits.items())
    size = sum(
        (10 * a + b) * (bits[f"matrix {layer} 0"] + bits[f"matrix {layer} 1"])
        for layer, (a, b) in enumerate(zip(heads, hidden, strict=True))
    )
    return 0.2 * depth + 0.01 * sum(heads) + 0.01 * sum(hidden) - 0.1 * harmed, float(size)


def test_fronts_against_the_definition() -> None:
    draw = Random(0)
    for _ in range(30):
        points = [(float(draw.randrange(6)), float(draw.randrange(6))) for _ in range(17)]
        found, left = fronts(points), set(range(17))
        for front in found:
            wanted = {at for at in left if not any(dominates(points[o], points[at]) for o in left)}
            assert set(front) == wanted
            left -= wanted
        assert not left


def test_hypervolume_against_counting_cells() -> None:
    draw = Random(1)
    for _ in range(30):
        points = [(float(draw.randrange(-1, 7)), float(draw.randrange(9))) for _ in range(5)]
        worst = (0.0, 8.0)
        cells = sum(
            any(right >= y + 1 and size <= x for right, size in points)
            for y, x in product(range(7), range(8))
        )
        assert hypervolume(points, worst) == cells
        # A dominated point adds nothing, one that dominates adds.
        assert hypervolume([*points, (0.0, 8.0)], worst) == cells
        assert hypervolume([*points, (7.0, 0.0)], worst) == 56


def test_a_front_is_spread_with_its_ends() -> None:
    points = [(float(at), float(at)) for at in range(10)]
    order = [3, 1, 9, 0, 5, 2, 8, 7, 6, 4]
    assert spread(points, order, 4) == [0, 3, 6, 9] and spread(points, order, 12) == list(range(10))
    assert spread(points, order, 1) == [9]


def test_one_hot_has_a_column_a_choice_and_none_for_absent_genes() -> None:
    draw = Random(2)
    genomes = [SPACE.random(draw) for _ in range(50)]
    rows = SPACE.one_hot(genomes)
    assert rows.shape == (50, sum(len(gene.choices) for gene in SPACE.genes))
    present = [sum(value != 0 for value in genome) for genome in genomes]
    assert rows.sum(1).tolist() == present
    assert SPACE.only(8).one_hot([SPACE.only(8).maximal()]).shape == (1, 3 + 3 * 2 + 3 * 3)


def test_the_better_predictor_by_cross_validation_is_taken() -> None:
    draw = Random(3)
    genomes = [SPACE.random(draw) for _ in range(60)]
    linear = Predictor(SPACE, genomes, [1000 + 100 * g[0] + sum(g[10:]) for g in genomes])
    assert linear.kind == "ridge" and linear.errors["ridge"] < linear.errors["svr"]
    # Whether two genes agree is no sum of what each says.
    agree = [1.0 + 4.0 * (g[1] == g[2]) * (g[4] == 7) for g in genomes]
    curved = Predictor(SPACE, genomes, agree)
    assert curved.kind == min(curved.errors, key=lambda kind: curved.errors[kind])
    assert set(curved.errors) == {"ridge", "svr"}
    np.testing.assert_allclose(
        linear(genomes), [1000 + 100 * g[0] + sum(g[10:]) for g in genomes], rtol=0.02
    )


def test_linas_measures_no_more_than_told_and_nothing_twice() -> None:
    asked: list[Genome] = []

    def measure(genome: Genome) -> Point:
        asked.append(genome)
        return measured(genome)

    heard: list[int] = []
    found = linas(SPACE, measure, QUICK, seed=1, tell=lambda count, kinds: heard.append(count))
    assert len(asked) == len(set(asked)) == len(found) == 50 and list(found) == asked
    assert heard == [20, 35]
    assert all(genome == SPACE.canonical(genome) for genome in asked)
    assert found == linas(SPACE, measured, QUICK, seed=1)


def test_linas_beats_as_many_random_measurements() -> None:
    worst, gains = (-0.5, 2000.0), []
    for seed in range(2):
        found = linas(SPACE, measured, QUICK, seed=seed)
        draw = Random(seed + 100)
        other = {genome: measured(genome) for genome in (SPACE.random(draw) for _ in range(50))}
        gains.append(
            hypervolume(list(found.values()), worst) - hypervolume(list(other.values()), worst)
        )
    assert min(gains) > 0


def test_a_space_that_is_measured_whole_ends_the_search() -> None:
    small = Space(depths=(1,), heads=(1, 2), hidden=(3, 5), matrices=(("a", 0),))
    settings = Linas(first=4, each=3, budget=100, evaluations=20, population=10)
    found = linas(small, lambda genome: (float(sum(genome)), float(genome[1])), settings)
    assert len(found) == 8


def test_the_baseline_measures_as_often_and_quantises_its_best() -> None:
    found = architectures_then_int8(SPACE, measured, QUICK, seed=0)
    assert len(found) == QUICK.budget
    plain, small = list(found)[: QUICK.budget - QUICK.each], list(found)[-QUICK.each :]
    assert all(set(SPACE.bits_of(genome).values()) == {32} for genome in plain)
    assert all(set(SPACE.bits_of(genome).values()) == {8} for genome in small)
    best = fronts([found[genome] for genome in plain])[0]
    assert {SPACE.with_bits(plain[at], 8) for at in best} & set(small)


def test_misuse_is_refused() -> None:
    with pytest.raises(Misuse, match="within the budget"):
        Linas(first=300)
    with pytest.raises(Misuse, match="1 measurements"):
        Predictor(SPACE, [SPACE.maximal()], [1.0])
