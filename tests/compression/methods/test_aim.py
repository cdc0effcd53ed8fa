"""AIM: its schedule, its headline, PageRank."""

import pytest
import torch
from tests.compression.made_up import evidence, host, run
from torch.nn.functional import softmax

from chiasm.catalogue.headlines_compression import AIM
from chiasm.compression.alive import counted
from chiasm.compression.evidence import Asks, DecoderAttention
from chiasm.compression.methods.aim import PAPER, Aim, PageRank
from chiasm.compression.reducer import Scope

pytestmark = pytest.mark.evidence(slug="aim", grade="lawful")

VISUAL, TEXT, DEPTH = 32 * 196, 100, 28


def tera(visual):
    """sum_l 2 n_l P + 4 n_l^2 d of Qwen2-7B, in TFLOPs."""
    width, kv, hidden = 3584, 512, 18944
    layer = 2 * width * width + 2 * width * kv + 3 * width * hidden
    rows = [TEXT + count for count in visual]
    return sum(2 * n * layer + 4 * n * n * width for n in rows) / 1e12


def test_the_paper_s_schedule_is_seven_eighths_to_none():
    merged, rates = PAPER.schedule(host(depth=28))
    assert merged == pytest.approx(1 / 4)
    assert rates[:14] == (1.0,) * 14
    assert rates[14:22] == pytest.approx((0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0))
    assert not any(rates[21:])


def test_its_headline_from_the_schedule():
    reducers = PAPER.reducers(host(depth=28))
    counts = counted(reducers, ((196,) * 32,), DEPTH).alive
    assert counts == AIM
    assert counts[0] == 32 * 49
    assert tera([VISUAL] * DEPTH) == pytest.approx(99.5, rel=0.005)
    assert tera([32 * 49] * DEPTH) == pytest.approx(22.9, rel=0.005)
    assert tera(counts) == pytest.approx(14.75, rel=0.005)
    assert sum(counts) / (DEPTH * VISUAL) == pytest.approx(PAPER.keep)


def test_a_frame_of_196_is_halved_and_halved_again():
    (merge,) = [one for one in PAPER.reducers(host(depth=28)) if one.site.layer == 0]
    assert merge.scope is Scope.UNIT
    given = evidence(((2, 14, 14),))
    assert len(merge.reduce(given.part(given.unit == 1)).index) == 49


@pytest.mark.parametrize("depth", [2, 3, 4, 24, 28, 33, 80])
@pytest.mark.parametrize("keep", [0.05, 0.3, 0.7, 0.99])
def test_budgets_are_met_at_any_depth(depth, keep):
    method = Aim(keep=keep)
    merged, rates = method.schedule(host(depth=depth))
    assert merged * sum(rates) / depth == pytest.approx(keep)
    assert list(rates) == sorted(rates, reverse=True)
    found = counted(method.reducers(host(depth=depth)), ((1009,) * 3,), depth)
    assert found.keep == pytest.approx(keep, abs=0.01)


def test_no_token_is_left_behind_the_schedule():
    found = list(run(PAPER.reducers(host(depth=28)), ((3, 7, 11),)))
    assert len(found[-1][2].index) == 0
    assert found[-1][0].site.layer == 21


def test_importance_of_uniform_causal_attention_falls_with_the_index():
    rows = 17
    logits = torch.zeros(2, rows, rows)
    logits = logits.masked_fill(torch.ones(rows, rows).triu(1).bool(), -torch.inf)
    look = DecoderAttention(asks=Asks.ALL, back=1, logits=True)
    given = evidence(((1, 3, 3),))
    given = type(given)(**{**given.__dict__, "seen": {look: logits}})
    scores = PageRank().score(given)
    assert (scores.diff() < 0).all()


def test_pagerank_equals_the_loop():
    scorer = PageRank()
    given = evidence(((1, 3, 5),), scorer.needs)
    logits = given.seen[scorer.look]
    heads, rows, _ = logits.shape
    ranks = []
    for head in range(heads):
        moves = softmax(logits[head] / 0.1, dim=-1)
        p = [1 / rows] * rows
        for _ in range(5):
            p = [sum(p[a] * float(moves[a, b]) for a in range(rows)) for b in range(rows)]
        ranks.append(p)
    expected = [
        (sum(rank[row] ** 2 for rank in ranks) / heads) ** 0.5 for row in given.row.tolist()
    ]
    assert torch.allclose(scorer.score(given), torch.tensor(expected), atol=1e-6)


def test_mass_is_conserved_over_rows():
    """No damping: the ranks of a head sum to one over all rows, text included."""
    scorer = PageRank()
    given = evidence(((1, 3, 5),), scorer.needs)
    one_head = {scorer.look: given.seen[scorer.look][:1]}
    everything = torch.arange(one_head[scorer.look].shape[-1])
    fields = {**given.__dict__, "seen": one_head, "row": everything}
    assert torch.isclose(scorer.score(type(given)(**fields)).sum(), torch.tensor(1.0))


def test_hidden_rows_do_not_count():
    """Masked out or physically removed, a row changes no other's importance but by the start."""
    scorer = PageRank()
    given = evidence(((1, 3, 5),), scorer.needs)
    logits = given.seen[scorer.look]
    rows = logits.shape[-1]
    seen = torch.arange(rows) != 9
    without = logits[:, seen][:, :, seen]
    fields = {**given.__dict__, "row": torch.arange(rows - 1), "seen": {scorer.look: without}}
    removed = scorer.score(type(given)(**fields))
    masked = logits.clone()
    masked[:, :, 9] = -torch.inf
    masked[:, 9] = -torch.inf
    masked[:, 9, 9] = 0.0
    fields = {**given.__dict__, "row": torch.arange(rows)[seen], "seen": {scorer.look: masked}}
    hidden = scorer.score(type(given)(**fields))
    assert torch.allclose(hidden * rows, removed * (rows - 1), atol=1e-5)
