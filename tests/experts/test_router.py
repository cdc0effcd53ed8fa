"""The router: who is chosen, with what weight, and what it may not do."""

import pytest
import torch

from chiasm.experts.penalties import Balance, Prediction
from chiasm.experts.router import Router
from chiasm.experts.routes import blocks, everyone
from chiasm.experts.selection import (
    ExpertChoice,
    FixedShares,
    SoftMixture,
    TopLogits,
    TopProbabilities,
)

WIDTH, ROWS = 11, 37
SHARED_POOL = ((False, True, True, True), (True, True, True, False))
"""Text may use experts 1 to 3, images 0 to 2."""


class Collected:
    def __init__(self):
        self.named = {}

    def add(self, name, value):
        self.named[name] = self.named.get(name, 0.0) + value


def routed(eligibility, selection, *, rows=ROWS, training=True, losses=None, **options):
    torch.manual_seed(2)
    penalties = options.pop("penalties", ())
    router = Router(eligibility=eligibility, selection=selection, penalties=penalties, **options)
    module = router.build(WIDTH).train(training)
    x = torch.randn(rows, WIDTH, requires_grad=True)
    group = torch.randint(0, len(eligibility), (rows,))
    counted = torch.ones(rows, dtype=torch.bool)
    return module, x, group, module(x, group, counted, losses)


SELECTIONS = [
    TopLogits(2),
    TopProbabilities(2, renormalise=True),
    TopProbabilities(1, renormalise=False),
    SoftMixture(),
    ExpertChoice(),
]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_no_row_passes_an_expert_closed_to_its_group(selection, apart):
    *_, group, routes = routed(SHARED_POOL, selection, apart=apart)
    allowed = torch.tensor(SHARED_POOL)
    assert allowed[group[routes.row], routes.expert].all()
    used = {(int(g), int(e)) for g, e in zip(group[routes.row], routes.expert, strict=True)}
    assert len(used) == 6, "some open pair was never used: the check above would see nothing"


def test_two_readings_of_renormalised_top_k_are_one():
    """softmax, top-k, renormalise equals top-k, softmax; without renormalising it does not."""
    tables = [
        routed(everyone(5), selection)[-1].table(ROWS)
        for selection in (
            TopLogits(2),
            TopProbabilities(2, renormalise=True),
            TopProbabilities(2, renormalise=False),
        )
    ]
    torch.testing.assert_close(tables[0], tables[1])
    torch.testing.assert_close(tables[0].sum(1), torch.ones(ROWS))
    assert (tables[2].sum(1) < 1).all()
    assert ((tables[2] > 0) == (tables[0] > 0)).all()


def test_all_experts_mix_by_the_softmax():
    module, x, _, routes = routed(everyone(4), SoftMixture())
    torch.testing.assert_close(routes.table(ROWS), module.gate(x).softmax(-1))


def test_fixed_shares_read_the_group_alone():
    shares = ((0.5, 0.0, 0.5), (0.0, 1.0, 0.0))
    *_, group, routes = routed(everyone(3, groups=2), FixedShares(shares))
    assert torch.equal(routes.table(ROWS), torch.tensor(shares)[group])


def test_scores_apart_have_a_row_for_each_open_expert():
    module, x, group, _ = routed(SHARED_POOL, TopLogits(2), apart=True)
    assert module.gate.weight.shape == (6, WIDTH)
    together = routed(SHARED_POOL, TopLogits(2))[0]
    assert together.gate.weight.shape == (4, WIDTH)
    routes = module(x, group, torch.ones(ROWS, dtype=torch.bool))
    routes.table(ROWS)[group == 0].square().sum().backward()
    rows = module.gate.weight.grad.abs().sum(1) > 0
    assert rows.tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("rows", [0, 1, 3, 37, 64])
def test_expert_choice_takes_as_many_rows_as_there_are(rows):
    """Sum of k_e = N_m in each group, as evenly as whole rows allow."""
    *_, group, routes = routed(blocks(4, 3), ExpertChoice(), rows=rows)
    assert routes.sizes == tuple(torch.bincount(routes.expert, minlength=7).tolist())
    for number, experts in ((0, range(4)), (1, range(4, 7))):
        sizes = [routes.sizes[e] for e in experts]
        assert sum(sizes) == int((group == number).sum())
        assert max(sizes) - min(sizes) <= 1


def test_expert_choice_takes_the_best_rows():
    module, x, group, routes = routed(blocks(2, 2), ExpertChoice(noise=False))
    scores = module.gate(x).sigmoid()
    for expert in range(4):
        rows = (group == expert // 2).nonzero().flatten()
        best = rows[scores[rows, expert].argsort(descending=True)[: routes.sizes[expert]]]
        assert set(routes.row[routes.expert == expert].tolist()) == set(best.tolist())
    torch.testing.assert_close(routes.weight, scores[routes.row, routes.expert])


def test_noise_only_while_training():
    noisy, quiet = (routed(everyone(3), ExpertChoice(), training=on)[-1] for on in (True, False))
    silent = routed(everyone(3), ExpertChoice(noise=False))[-1]
    assert torch.equal(quiet.row, silent.row)
    assert not torch.equal(noisy.row, silent.row)


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_rows_that_hold_nothing_are_not_counted(selection):
    """Neither do they take a place in an expert's choice, nor do they teach the router."""
    module, x, group, _ = routed(everyone(4, groups=2), selection, training=False)
    module.router = Router(
        eligibility=everyone(4, groups=2),
        selection=selection,
        penalties=(Balance(coefficient=1.0),),
    )
    counted = torch.arange(ROWS) % 3 > 0
    with_padding, without = Collected(), Collected()
    routes = module(x, group, counted, with_padding)
    alone = module(x[counted], group[counted], counted[counted], without)
    torch.testing.assert_close(with_padding.named["balance"], without.named["balance"])
    torch.testing.assert_close(
        routes.table(ROWS)[counted].sum(), alone.table(int(counted.sum())).sum()
    )


def test_predictors_make_the_choice_causal_and_leave_the_rest_alone():
    """Without training, a row's routes follow from the row alone; predictors teach no one else."""
    options = dict(predictors=7, penalties=(Prediction(),))
    losses = Collected()
    module, x, group, _ = routed(blocks(2, 2), ExpertChoice(), losses=losses, **options)
    losses.named["prediction"].backward()
    assert x.grad is None and module.gate.weight.grad is None
    assert all(bool(p.grad.any()) for p in module.predictors.parameters())
    module.eval()
    routes = module(x, group, torch.ones(ROWS, dtype=torch.bool))
    assert len(routes.row) > 0
    for row in range(0, ROWS, 5):
        alone = module(x[row : row + 1], group[row : row + 1], torch.ones(1, dtype=torch.bool))
        torch.testing.assert_close(alone.table(1)[0], routes.table(ROWS)[row])
    assert not module.router.looks_ahead
    assert Router(eligibility=everyone(2), selection=ExpertChoice(), penalties=()).looks_ahead


def test_predictors_learn_the_choice():
    torch.manual_seed(0)
    router = Router(
        eligibility=everyone(2),
        selection=ExpertChoice(noise=False),
        penalties=(Prediction(),),
        predictors=8,
    )
    module, x = router.build(WIDTH), torch.randn(64, WIDTH)
    group, counted = torch.zeros(64, dtype=torch.long), torch.ones(64, dtype=torch.bool)
    adam = torch.optim.Adam(module.predictors.parameters(), lr=3e-2)
    for _ in range(150):
        losses = Collected()
        adam.zero_grad()
        module(x, group, counted, losses)
        losses.named["prediction"].backward()
        adam.step()
    taken = module(x, group, counted).chosen(64)
    predicted = module.eval()(x, group, counted).chosen(64)
    assert (taken == predicted).float().mean() > 0.95


def test_multiply_adds_of_the_scores():
    router = Router(
        eligibility=SHARED_POOL, selection=ExpertChoice(), penalties=(), apart=True, predictors=3
    )
    assert router.macs(WIDTH) == WIDTH * 6 + WIDTH * 4 * 3 + 4 * 3


@pytest.mark.parametrize("eligibility", [everyone(3), SHARED_POOL])
def test_expert_choice_by_sample_is_that_of_each_sample_alone(eligibility):
    """Samples of 13, 8 and no counted rows, beside each other and one by one."""
    torch.manual_seed(4)
    choice = ExpertChoice(capacity=1.0, noise=False, by_sample=True)
    router = Router(eligibility=eligibility, selection=choice, penalties=())
    module, x = router.build(WIDTH), torch.randn(3, 13, WIDTH)
    group = torch.randint(0, len(eligibility), (3, 13))
    counted = torch.arange(13) < torch.tensor([[13], [8], [0]])
    together = module(x.flatten(0, 1), group.flatten(), counted.flatten(), samples=3)
    table = together.table(39).unflatten(0, (3, 13))
    whole = Router(
        eligibility=eligibility, selection=ExpertChoice(noise=False), penalties=()
    ).build(WIDTH)
    whole.load_state_dict(module.state_dict())
    for at, length in enumerate((13, 8)):
        alone = whole(x[at, :length], group[at, :length], counted[at, :length])
        torch.testing.assert_close(table[at, :length], alone.table(length))
        assert not table[at, length:].any()
    assert not table[2].any()
