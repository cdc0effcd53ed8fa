"""FastV, ToMe, VisionZip, PruMerge+ and the two controls."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host, run
from torch.nn.functional import cosine_similarity, normalize

from chiasm.compression.evidence import Asks, DecoderAttention
from chiasm.compression.looks import ClassAttention, ReceivedAttention
from chiasm.compression.method import method
from chiasm.compression.methods.fastv import FastV
from chiasm.compression.methods.prumerge import PruMerge, outliers
from chiasm.compression.methods.tome import ToMe
from chiasm.compression.methods.visionzip import VisionZip
from chiasm.errors import Misuse

LLAVA = host(depth=32, blocks=24, class_token=True)
PLAIN = host(depth=32, blocks=24, class_token=False)
WIDTH, FF = 4096, 11008


def layer_flops(n):
    """4 n d^2 + 2 n^2 d + 2 n d m, FastV's own count."""
    return 4 * n * WIDTH**2 + 2 * n**2 * WIDTH + 2 * n * WIDTH * FF


@pytest.mark.evidence(slug="token-compression-survey", grade="lawful")
def test_fastv_s_flops_of_layer_2_and_half_the_tokens():
    """K = 2, R = 50%, 32 layers, 576 tokens: linear parts are halved, quadratic ones quartered."""
    (step,) = FastV(keep=(2 + 30 * 0.5) / 32).reducers(LLAVA)
    assert step.site.layer == 2
    assert step.budget.count(torch.zeros(576)) == 288
    full = 32 * layer_flops(576)
    cut = 2 * layer_flops(576) + 30 * layer_flops(288)
    quadratic = 576 / (2 * WIDTH + FF + 576)
    assert cut / full == pytest.approx(2 / 32 + 30 / 32 * (1 / 2 - quadratic / 4))
    assert cut / full == pytest.approx(0.5244, abs=0.0001)


def test_fastv_keeps_what_the_last_row_attended_to_in_the_layer_before():
    (step,) = FastV(keep=0.5).reducers(LLAVA)
    look = DecoderAttention(asks=Asks.LAST, back=1)
    assert step.needs == (look,)
    given = evidence(((1, 7, 11),), step.needs)
    scores = given.seen[look].mean(0)[0, given.row]
    left = step.reduce(given)
    kept, gone = scores[left.index], scores[~torch.isin(torch.arange(77), left.index)]
    assert kept.min() >= gone.max()
    assert left.hidden is None


def test_fastv_says_what_its_first_layers_spend():
    with pytest.raises(Misuse, match=r"every token up to layer 2 of 32.*keep=0.05 is not above"):
        FastV(keep=0.05).reducers(LLAVA)


def test_fastv_s_layer_is_one_of_the_host_s():
    assert FastV(keep=0.9).reducers(host(depth=2))[0].site.layer == 1
    assert FastV(keep=0.9).reducers(host(depth=36, first=3))[0].site.layer == 3
    assert FastV(keep=0.9, layer=5).reducers(LLAVA)[0].site.layer == 5
    with pytest.raises(Misuse, match="before layer 32, and the host has 32 layers"):
        FastV(keep=0.9, layer=32).reducers(LLAVA)
    with pytest.raises(Misuse, match="before layer 1, and the host has 1 layers"):
        FastV(keep=0.9).reducers(host(depth=1))


@pytest.mark.parametrize("name", ["random", "uniform"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_controls_keep_their_share_of_every_item(name, keep):
    (step,) = method(name, keep=keep).reducers(LLAVA)
    for _, part, left in run([step], ((1, 13, 11), (3, 7, 11))):
        assert len(left.index) == int(keep * part.tokens + 0.5)
        assert left.hidden is None
    assert step.needs == ()


def test_uniform_is_evenly_spaced_and_random_is_not():
    (step,) = method("uniform", keep=0.25).reducers(LLAVA)
    given = evidence(((1, 1, 20),))
    assert step.reduce(given).index.tolist() == [2, 6, 10, 14, 18]
    picks = [
        tuple(method("random", keep=0.25, seed=s).reducers(LLAVA)[0].reduce(given).index.tolist())
        for s in range(5)
    ]
    assert len(set(picks)) == 5


def test_random_draws_the_same_in_half_precision():
    """Rounded to bfloat16, equal scores would favour early tokens."""
    (step,) = method("random", keep=0.3).reducers(LLAVA)
    full, half = evidence(((1, 24, 24),)), evidence(((1, 24, 24),), dtype=torch.bfloat16)
    assert torch.equal(step.reduce(full).index, step.reduce(half).index)
    assert len(step.scorer.score(half).unique()) > 570


def test_random_draws_every_token_alike():
    given = evidence(((1, 1, 10),))
    hits = torch.zeros(10)
    for seed in range(400):
        (step,) = method("random", keep=0.3, seed=seed).reducers(LLAVA)
        hits[step.reduce(given).index] += 1
    assert hits.sum() == 1200
    # 400 draws of 3 in 10: a token's count is within 5 standard deviations, 9.2 each, of 120.
    assert (hits - 120).abs().max() < 46


@pytest.mark.evidence(slug="token-compression-survey", grade="lawful")
def test_tome_conserves_sizes_times_values():
    """With identity features a row shows its members and, as 1 / size, its size."""
    (step,) = ToMe(keep=0.3).reducers(LLAVA)
    given = evidence(((1, 5, 7),), step.needs)
    shown = step.reduce(replace(given, hidden=torch.eye(35)))
    sizes = 1 / shown.hidden.max(1).values
    assert torch.allclose(sizes.sum(), torch.tensor(35.0), atol=1e-3)
    left = step.reduce(given)
    total = (left.hidden * sizes[:, None]).sum(0)
    assert torch.allclose(total, given.hidden.sum(0), atol=1e-4)


def visionzip_by_loop(given, step, kept):
    scores = given.seen[step.scorer.look].tolist()
    keys = given.seen[step.fate.by]
    alone = sorted(sorted(range(len(scores)), key=lambda n: -scores[n])[: round(kept * 27 / 32)])
    rest = [n for n in range(len(scores)) if n not in alone]
    context = kept - len(alone)
    targets = [rest[(2 * i + 1) * len(rest) // (2 * context)] for i in range(context)]
    members = {target: [target] for target in targets}
    for n in rest:
        if n not in targets:
            likeness = [float(cosine_similarity(keys[n], keys[t], dim=0)) for t in targets]
            members[targets[likeness.index(max(likeness))]].append(n)
    index = sorted([*alone, *targets])
    rows = [given.hidden[torch.tensor(members.get(n, [n]))].mean(0) for n in index]
    return index, torch.stack(rows)


def test_visionzip_equals_the_loop():
    (step,) = VisionZip(keep=32 / 143).reducers(LLAVA)
    given = evidence(((1, 13, 11),), step.needs)
    left = step.reduce(given)
    index, rows = visionzip_by_loop(given, step, 32)
    assert left.index.tolist() == index
    assert torch.allclose(left.hidden, rows, atol=1e-6)


def test_visionzip_is_54_dominant_and_10_contextual_of_64():
    (step,) = VisionZip(keep=1 / 9).reducers(LLAVA)
    given = evidence(((1, 24, 24),), step.needs)
    left = step.reduce(given)
    assert len(left.index) == 64
    unchanged = (left.hidden == given.hidden[left.index]).all(1)
    assert 54 <= int(unchanged.sum()) <= 55
    assert step.scorer.look == ClassAttention(block=22)
    (plain,) = VisionZip(keep=1 / 9).reducers(PLAIN)
    assert plain.scorer.look == ReceivedAttention(block=22)


def test_visionzip_of_one_token_keeps_the_dominant_one():
    (step,) = VisionZip(keep=0.05).reducers(LLAVA)
    given = evidence(((1, 3, 5),), step.needs)
    left = step.reduce(given)
    assert left.index.tolist() == [int(given.seen[step.scorer.look].argmax())]


def test_outliers_are_beyond_one_and_a_half_ranges():
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 15.1, 15.0])
    # quartiles 3.5 and 8.5: the bound is 16
    assert not outliers(scores).any()
    scores[0] = 16.5
    # quartiles 4.5 and 12: 23.25
    assert not outliers(scores).any()
    scores = torch.tensor([0.1] * 20 + [0.5, 0.9])
    assert outliers(scores).nonzero().flatten().tolist() == [20, 21]
    assert torch.equal(outliers(scores), outliers(7 * scores + 3))
    assert not outliers(torch.ones(9)).any()


def test_prumerge_keeps_outliers_then_fills_up_evenly():
    (step,) = PruMerge(keep=0.2).reducers(LLAVA)
    given = evidence(((1, 5, 7),), step.needs)
    scores = 0.01 * torch.rand(35)
    scores[[4, 29]] = 1.0
    given = replace(given, seen={**given.seen, step.scorer.look: scores})
    left = step.reduce(given)
    rest = [n for n in range(35) if n not in (4, 29)]
    filled = [rest[(2 * i + 1) * 33 // 10] for i in range(5)]
    assert left.index.tolist() == sorted([4, 29, *filled])


def test_prumerge_of_too_many_outliers_keeps_the_highest():
    (step,) = PruMerge(keep=2 / 35).reducers(LLAVA)
    given = evidence(((1, 5, 7),), step.needs)
    scores = 0.01 * torch.rand(35)
    scores[[4, 11, 20, 29]] = torch.tensor([1.0, 3.0, 2.0, 1.5])
    given = replace(given, seen={**given.seen, step.scorer.look: scores})
    assert step.reduce(given).index.tolist() == [11, 20]


@pytest.mark.parametrize("neighbours", [3, 32, 100])
def test_prumerge_adds_the_nearest_weighted_by_their_attention(neighbours):
    (step,) = PruMerge(keep=0.2, neighbours=neighbours).reducers(LLAVA)
    given = evidence(((1, 5, 7),), step.needs)
    leaf = given.hidden.requires_grad_()
    left = step.reduce(given)
    scores, keys = (given.seen[look] for look in step.needs)
    turned = normalize(keys, dim=-1)
    rows = []
    for kept in left.index.tolist():
        likeness = {n: float(turned[kept] @ turned[n]) for n in range(35) if n != kept}
        near = sorted(likeness, key=lambda n: -likeness[n])[:neighbours]
        rows.append(leaf[kept] + sum(scores[n] * leaf[n] for n in near))
    expected = torch.stack(rows)
    assert torch.allclose(left.hidden, expected, atol=1e-5)
    weights = torch.randn(expected.shape)
    ours, theirs = (
        torch.autograd.grad((x * weights).sum(), leaf)[0] for x in (left.hidden, expected)
    )
    assert torch.allclose(ours, theirs, atol=1e-5)
