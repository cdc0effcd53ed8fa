"""The benchmark of the law of vision: settings go together, figures are told with bounds."""

import pytest
from benchmarks.law_of_vision import REFERENCES, correlations, settings

from chiasm.spec import geometry
from chiasm.spec.fit import check_fit

A = (0.99, 0.9, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3)
C = (0.5, 0.6, 0.2, 0.4, 0.1, 0.3, 0.25, 0.15)


def test_every_setting_leads_into_one_language_model():
    known = settings("easy-vqa")
    assert len(known) >= 8 and set(REFERENCES) <= set(known)
    assert len({(repr(one.answers), one.taught_on, one.share) for one in known.values()}) == len(
        known
    )
    for one in known.values():
        check_fit(one.answers)
        assert geometry(one.answers, (64, 64)).tokens >= 16
        assert one.answers.host == known["own-64"].answers.host


def test_a_score_that_follows_the_law_is_ranked_by_it():
    scores = [0.4 + 0.3 * a - 0.2 * c + 0.2 * a * c for a, c in zip(A, C, strict=True)]
    found = correlations(
        [{"A": a, "C": c, "score": s} for a, c, s in zip(A, C, scores, strict=True)], 1e-9, draws=99
    )
    law = found["law of AC, left out"]
    assert law["spearman"] == pytest.approx(1, abs=1e-6)
    assert law["predicted"] == pytest.approx(scores, abs=1e-3)
    alike = correlations([{"A": 0.5, "C": 0.5, "score": 0.5}] * 4, 1e-3)
    assert (alike["A"]["spearman_low"], alike["A"]["spearman_high"]) == (-1, 1)
    for one in found.values():
        assert one["pearson_low"] <= one["pearson"] <= one["pearson_high"]
