"""The card of 019 deer-vla."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, real, said, tiny

from chiasm.compression import (
    EarlyExits,
    ExitBudget,
    Trial,
    geometric,
    leaving,
    mean_cost,
    quantile_thresholds,
    search,
    solve_shares,
)
from chiasm.cost.exits import exit_bytes, exit_flops
from chiasm.data.reach import NEAR, STEP, demonstrate
from chiasm.decoding.early_exit import EarlyActing, exit_layers, next_scores, pooled
from chiasm.decoding.generate import last_rows
from chiasm.errors import Misuse
from chiasm.heads import Policy
from chiasm.objectives import Imitation
from chiasm.stream.table import take
from chiasm.training.exits import exit_features, exit_loss, independent, two_spans

SLUG = "deer-vla"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

SAMPLES = [
    (Picture(1, 24, 40), said(5, 1)),
    (said(2, 2), Picture(2, 24, 40), said(7, 3)),
    (Picture(3, 24, 40), said(3, 4)),
]


def deep(depth: int = 7, every: int = 2):
    """Tiny answers with enough layers for several exits."""
    answers = tiny(SLUG)
    return replace(
        answers,
        host=replace(answers.host, depth=depth),
        compression=EarlyExits(every=every),
        head=replace(answers.head, layers=2, lstm_width=13),
    )


@pytest.fixture(scope="module")
def model():
    return fresh(deep()).requires_grad_(False)


@pytest.fixture(scope="module")
def inputs():
    return batch(deep(), SAMPLES, teach=False)


def counting(model):
    """Layers of the model that ran, in order."""
    ran: list[int] = []
    handles = [
        layer.register_forward_hook(lambda *_, at=at: ran.append(at))
        for at, layer in enumerate(model.decoder.stack.layers)
    ]
    return ran, handles


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_published_exits_and_head():
    model = on_meta(SYSTEM.at("paper"))
    assert exit_layers(model) == (1, 3, 5, 7, 9, 11)
    lstm = model.head.action.lstm
    assert (lstm.num_layers, lstm.hidden_size, lstm.input_size) == (4, 1024, 2048)
    assert EarlyExits(every=2).exits(7) == (1, 3, 5, 6)


@lawful
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_thresholds_choose_the_exit_and_only_its_layers_run(every, at):
    model, inputs = fresh(deep(every=every)), batch(deep(), SAMPLES, teach=False)
    exits = exit_layers(model)
    thresholds = [-1.0] * at + [math.inf] * (len(exits) - at)
    ran, _ = counting(model)
    acted = EarlyActing(model, thresholds).step(inputs)
    assert acted.left.exit.tolist() == [at] * len(SAMPLES)
    assert ran == [*range(exits[at] + 1)] and acted.left.layers == exits[at] + 1


@lawful
def test_minus_one_leaves_at_the_last_exit_even_there(model, inputs):
    acted = EarlyActing(model, [-1.0] * 4).step(inputs)
    assert acted.left.exit.tolist() == [3, 3, 3] and acted.left.layers == 7


@lawful
def test_an_exit_is_the_whole_model_cut_there(model, inputs):
    """Slow reference: a model of that many layers, run whole, and the distances by hand."""
    poses = []
    for depth in range(1, 8):
        shorter = fresh(deep(depth))
        state = model.state_dict()
        shorter.load_state_dict({n: state[n] for n in shorter.state_dict()})
        run = shorter.decoder.begin(shorter.stream(inputs))
        shorter.decoder.stack.advance(run, depth)
        rows = [
            run.hidden[sample][(inputs.table.modality == 0)[sample] & real(inputs)[sample]]
            for sample in range(3)
        ]
        features = torch.stack([each.max(0).values for each in rows])
        poses.append(shorter.head.action(features.unsqueeze(1))[0].pose[:, 0])
    expected = [
        (poses[layer] - poses[before]).square().mean(1).sqrt()
        for layer, before in ((1, 0), (3, 1), (5, 3), (6, 5))
    ]
    acted = EarlyActing(model, [-1.0] * 4).step(inputs)
    close(acted.left.distances, torch.stack(expected, 1), 1e-5)
    close(acted.pose, poses[-1], 1e-5)
    first = EarlyActing(model, [math.inf] * 4).step(inputs)
    close(first.pose, poses[1], 1e-5)


@lawful
def test_samples_leave_for_themselves(model, inputs):
    """A batch gives what each sample gives alone, at thresholds between their distances."""
    distances = EarlyActing(model, [-1.0] * 4).step(inputs).left.distances
    first = distances[:, 0].sort().values
    eta = [float((first[0] + first[1]) / 2), float(distances[:, 1].median()), -1.0, -1.0]
    together = EarlyActing(model, eta).step(inputs)
    assert len(set(together.left.exit.tolist())) > 1
    assert together.left.exit.tolist() == leaving(distances, eta).tolist()
    for number, sample in enumerate(SAMPLES):
        alone = EarlyActing(model, eta).step(batch(deep(), [sample], teach=False))
        assert alone.left.exit.item() == together.left.exit[number].item()
        assert alone.left.layers == exit_layers(model)[int(alone.left.exit)] + 1
        close(together.pose[number], alone.pose[0], 1e-5)


@lawful
def test_trial_exits_leave_the_state_bit_identical(model, inputs):
    acting = EarlyActing(model, [-1.0] * 4)
    acting.step(inputs)
    held = [each.clone() for each in acting.state]
    seen = []

    def watch(policy, given):
        seen.append(all(torch.equal(a, b) for a, b in zip(given[1], held, strict=True)))
        assert given[1] is acting.state

    handle = model.head.action.register_forward_pre_hook(watch)
    acting.step(inputs)
    handle.remove()
    assert seen == [True] * 5
    assert not torch.equal(acting.state[0], held[0])


@lawful
def test_one_state_is_committed_the_taken_exits(model, inputs):
    """Three steps that all leave at exit 1 are one pass of the policy over its features."""
    acting = EarlyActing(model, [-1.0, math.inf, math.inf, math.inf])
    poses = [acting.step(inputs).pose for _ in range(3)]
    features = exit_features(model, inputs)[1].unsqueeze(1).expand(-1, 3, -1)
    said, state = model.head.action(features)
    close(torch.stack(poses, 1), said.pose, 1e-5)
    close(acting.state[0], state[0], 1e-5)
    close(acting.state[1], state[1], 1e-5)


@lawful
def test_padding_is_not_pooled(model, inputs):
    hidden = torch.randn(3, inputs.ids.shape[1], 5)
    before = pooled(hidden, inputs.table)
    hidden[~real(inputs)] = 100.0
    assert torch.equal(pooled(hidden, inputs.table), before)


@lawful
@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.7])
@pytest.mark.parametrize("samples", [53, 101])
def test_empirical_shares_match_to_one_sample(ratio, samples):
    distances = torch.rand(samples, 5, generator=torch.Generator().manual_seed(samples))
    shares = geometric(ratio, 5)
    assert shares[3] == pytest.approx(shares[2] * ratio)
    eta = quantile_thresholds(distances, shares)
    exits = leaving(distances, eta)
    for number, share in enumerate(shares):
        assert abs(int((exits == number).sum()) - share * samples) <= 1


@lawful
def test_thresholds_are_quantiles_of_those_that_stayed():
    """By hand: six samples, a third leaves at each exit; sample 0 would leave at 1, but is gone."""
    distances = torch.tensor(
        [[0.1, 0.0, 9], [0.2, 0.8, 9], [0.3, 0.5, 9], [0.4, 0.7, 9], [0.5, 0.9, 9], [0.6, 0.6, 9]]
    )
    eta = quantile_thresholds(distances, (1 / 3, 1 / 3, 1 / 3))
    assert eta == pytest.approx((0.2, 0.6, math.inf))
    assert leaving(distances, eta).tolist() == [0, 0, 1, 2, 2, 1]


@lawful
def test_shares_are_solved_for_average_peak_and_memory():
    costs, memory = (3.0, 5.0, 11.0, 17.0), (2.0, 3.0, 5.0, 7.0)
    for average in (3.1, 7.0, 9.0, 16.0):
        shares = solve_shares(costs, ExitBudget(average=average))
        assert sum(shares) == pytest.approx(1)
        assert mean_cost(shares, costs) == pytest.approx(average, rel=1e-6)
        ratios = [b / a for a, b in pairwise(shares)]
        assert ratios == pytest.approx([ratios[0]] * 3)
    peaked = solve_shares(costs, ExitBudget(average=7.0, peak=12.0))
    assert peaked[3] == 0 and mean_cost(peaked, costs) == pytest.approx(7.0)
    small = solve_shares(costs, ExitBudget(average=4.0, memory=4.0), memory=memory)
    assert small[2:] == (0, 0) and mean_cost(small, costs) == pytest.approx(4.0)
    assert solve_shares(costs, ExitBudget(average=50.0, peak=12.0)) == (0, 0, 1, 0)
    for budget in (ExitBudget(average=2.0), ExitBudget(average=9.0, peak=2.0)):
        with pytest.raises(Misuse, match="first exit costs 3"):
            solve_shares(costs, budget)


@lawful
def test_a_peak_keeps_every_sample_below_it():
    distances = torch.rand(97, 4, generator=torch.Generator().manual_seed(2))
    shares = solve_shares((1.0, 2.0, 3.0, 4.0), ExitBudget(average=2.0, peak=3.0))
    assert leaving(distances, quantile_thresholds(distances, shares)).max() == 2


@lawful
def test_solved_thresholds_meet_the_average_on_the_model(model, inputs):
    """Counted FLOPs of the exits that samples took, against what was demanded."""
    many = [(Picture(n, 24, 40), said(3 + n % 5, n)) for n in range(1, 42)]
    seen = batch(deep(), many, teach=False)
    distances = EarlyActing(model, [-1.0] * 4).step(seen).left.distances
    costs = exit_flops(deep(), exit_layers(model), text=5)
    demanded = 0.6 * costs[-1]
    eta = quantile_thresholds(distances, solve_shares(costs, ExitBudget(average=demanded)))
    exits = EarlyActing(model, eta).step(seen).left.exit
    spent = sum(costs[number] for number in exits.tolist()) / len(many)
    assert abs(spent - demanded) <= 3 * costs[-1] / len(many)


@lawful
def test_costs_rise_with_the_layers_that_run():
    answers = deep()
    flops, held = exit_flops(answers, range(7)), exit_bytes(answers, range(7))
    steps = {b - a for a, b in pairwise(flops)}
    assert steps == {flops[0]} and held[6] == 7 * held[0] > 0


@lawful
def test_the_search_is_seeded_and_never_loses_its_start():
    def attempt(eta):
        return Trial(length=4 - abs(math.log(eta[0] / 0.02)), cost=1 + 2 * eta[1])

    def run(seed, trials=61):
        return search(attempt, (1.0, 1.0, math.inf), budget=2.0, trials=trials, seed=seed)

    start = run(1, trials=1)
    assert start.score == pytest.approx(-(4 - math.log(50)) + 1)
    assert run(3) == run(3) != run(4)
    assert run(3).score < start.score - 1 and run(3).thresholds[2] == math.inf


@lawful
def test_exits_are_drawn_by_step_and_by_span():
    generator = torch.Generator().manual_seed(5)
    steps = independent(211, 11, 3, generator)
    assert set(steps.unique().tolist()) == {0, 1, 2}
    assert (steps.diff(dim=1) != 0).sum(1).max() > 1
    spans = two_spans(211, 11, 3, generator)
    changes = (spans.diff(dim=1) != 0).sum(1)
    assert changes.max() == 1 and changes.min() == 0
    assert set(spans.unique().tolist()) == {0, 1, 2}


@lawful
def test_the_loss_is_huber_and_a_hundredth_of_cross_entropy():
    pose, right = torch.tensor([[0.5, 0, 0, 0, 0, 0.0]]), torch.zeros(1, 6)
    loss = Imitation().judge_actions(pose, torch.zeros(1), right, torch.ones(1))
    assert loss.item() == pytest.approx(0.5 * 0.25 / 6 + 0.01 * math.log(2))


@lawful
def test_every_exit_and_policy_is_taught():
    model = fresh(deep()).train()
    seen = [(Picture(n, 24, 40), said(5, n)) for n in range(1, 7)]
    features = exit_features(model, batch(deep(), seen, teach=False)).unflatten(1, (2, 3))
    own = [Policy(model.answers.head, 29) for _ in range(4)]
    pose, closed = torch.rand(2, 3, 6) - 0.5, torch.tensor([[0.0, 0, 1], [0, 1, 1]])
    generator = torch.Generator().manual_seed(1)
    exit_loss(Imitation(), model.head.action, own, features, pose, closed, generator).backward()
    taught = [*model.head.action.parameters(), *own[0].parameters(), *own[3].parameters()]
    taught += model.decoder.stack.layers.parameters()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in taught)


@lawful
def test_text_leaves_early_too(model, inputs):
    whole = take(model(inputs), last_rows(inputs.table))[:, 0]
    last = next_scores(model, inputs, [-1.0] * 4)
    close(last.given[0], whole, 1e-5)
    first = next_scores(model, inputs, [math.inf] * 4)
    assert first.layers == 2 and first.exit.tolist() == [0, 0, 0]
    assert not torch.allclose(first.given[0], whole, atol=1e-3)


@lawful
def test_the_expert_of_the_toy_task_arrives():
    shown = demonstrate(23, 17, (24, 40), seed=3)
    assert shown.images.shape == (23, 17, 3, 24, 40)
    assert shown.pose[..., :2].norm(dim=-1).max() <= 1 + 1e-6
    assert bool((shown.closed[:, -1] == 1).all()) and NEAR < STEP
    assert not shown.pose[..., 2:].any() and 0 < int(shown.crowded.sum()) < 23
    for other in range(3):
        away = (shown.word != other) & ~shown.crowded
        assert float(shown.images[away][:, 0, other].max()) < 1e-3


@lawful
def test_wrong_thresholds_are_refused(model, inputs):
    with pytest.raises(Misuse, match="3 thresholds given for 4 exits"):
        EarlyActing(model, [0.0] * 3).step(inputs)
