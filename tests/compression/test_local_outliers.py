"""Local outlier factors by their definition, and beside scikit-learn's."""

import pytest
import torch

from chiasm.compression.local_outliers import outlier_factors, outlier_share

RECOVERABLE = pytest.mark.evidence(slug="recoverable-compression", grade="lawful")


def values(count, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.cat(
        [torch.randn(count, generator=draw) * 0.01, 3 + torch.rand(2, generator=draw)]
    ).double()


def slowly(x, k):
    """Word by word."""
    points = x.tolist()
    near = {}
    for a, p in enumerate(points):
        others = sorted((abs(p - q), b) for b, q in enumerate(points) if b != a)
        near[a] = others[:k]
    reach = {a: near[a][-1][0] for a in near}
    density = {
        a: 1 / (sum(max(reach[b], d) for d, b in near[a]) / k + 1e-10) for a in range(len(points))
    }
    return [sum(density[b] for _, b in near[a]) / k / density[a] for a in range(len(points))]


@RECOVERABLE
@pytest.mark.parametrize(("count", "k"), [(31, 5), (53, 20), (7, 3)])
def test_factors_are_their_definition(count, k):
    x = values(count)
    assert outlier_factors(x, k).tolist() == pytest.approx(slowly(x, k), rel=1e-9)


@pytest.mark.parametrize(("count", "k"), [(97, 20), (577, 20), (577, 10), (11, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_factors_are_scikit_learns(count, k, seed):
    neighbors = pytest.importorskip("sklearn.neighbors")
    x = values(count, seed)
    one = neighbors.LocalOutlierFactor(n_neighbors=min(k, len(x) - 1))
    said = one.fit_predict(x.unsqueeze(1).numpy())
    ours = outlier_factors(x, k)
    assert ours.tolist() == pytest.approx((-one.negative_outlier_factor_).tolist(), rel=1e-6)
    assert outlier_share(x, k) == pytest.approx((said == -1).mean())


@RECOVERABLE
def test_what_lies_apart_is_found_whatever_the_scale():
    x = torch.cat([torch.linspace(0, 1, 61), torch.tensor([4.0, 5.0])])
    for scale in (1e-4, 1.0, 1e3):
        factors = outlier_factors(scale * x, 20)
        assert bool((factors[-2:] > 1.5).all()) and bool((factors[:-2] < 1.5).all())
        assert outlier_share(scale * x - 7 * scale, 20) == pytest.approx(2 / 63)


@RECOVERABLE
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_equal_scores_have_no_outlier(count):
    assert outlier_share(torch.full((count,), 0.3), 20) == 0
