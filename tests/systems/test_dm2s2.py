"""The card of 053 dm2s2; its pooling is tested here for any number of modalities."""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import HOST, Picture, batch, close, said, shared_model, tiny

from chiasm.fusion.set_pooling import SetAttention
from chiasm.stream import Role

SLUG = "dm2s2"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PICTURE, WORDS = Picture(1, 30, 50), said(4, 2)
ASKED = (said(1, 3, Role.TAG), said(2, 4, Role.ASSISTANT))
LENGTHS, WIDTH, INNER = (5, 3, 7), 11, 13


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def made(lengths: tuple[int, ...] = LENGTHS) -> tuple[SetAttention, torch.Tensor, list]:
    """The attention, all states in a row, and which rows are of each modality, for two queries."""
    torch.manual_seed(0)
    pool = SetAttention(WIDTH, INNER)
    kind = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    states = torch.randn(2, len(kind), WIDTH)
    seen = [(kind == one).expand(2, 2, -1) for one in range(len(lengths))]
    return pool, states, seen


def by_hand(pool: SetAttention, sequences: list[torch.Tensor]) -> torch.Tensor:
    """z of the sequences of one sample, modality by modality, as the equations are written."""
    pooled = []
    for h in sequences:
        a = torch.stack([pool.within(one) for one in h]).softmax(0)
        pooled.append(h.mean(0) + sum(w * one for w, one in zip(a, h, strict=True)))
    b = torch.stack([pool.among(r) for r in pooled]).softmax(0)
    return sum(r + w * r for r, w in zip(pooled, b, strict=True))


@lawful
def test_all_at_once_equals_the_equations_in_values_and_gradients():
    pool, states, seen = made()
    fast = pool(states, pool.within(states), seen)
    slow = torch.stack([by_hand(pool, [*one.split(LENGTHS)]) for one in states])
    close(fast, slow[:, None].expand_as(fast), 1e-5)
    grads = []
    for z in (fast[:, 0], slow):
        pool.zero_grad()
        z.square().sum().backward(retain_graph=True)
        grads.append([p.grad.clone() for p in pool.parameters()])
    for one, other in zip(*grads, strict=True):
        close(one, other, 1e-4)


@lawful
def test_a_missing_modality_is_as_if_removed_and_weights_add_up_to_one():
    pool, states, seen = made()
    gone = [seen[0], torch.zeros_like(seen[1]), seen[2]]
    scores = pool.within(states)
    close(pool(states, scores, gone), pool(states, scores, [seen[0], seen[2]]), 1e-6)
    pooled = torch.stack([pool.pool(states, scores, rows) for rows in gone], 2)
    weights = pool.weights(pooled, gone)
    close(weights.sum(-1), torch.ones(2, 2), 1e-6)
    assert bool((weights[..., 1] == 0).all())


@lawful
def test_without_attention_it_is_the_sum_of_means():
    """Scores of zero leave uniform weights: twice the mean, and half of it more for each of two."""
    pool, states, seen = made((5, 3))
    with torch.no_grad():
        for scores in (pool.within, pool.among):
            scores.score.weight.zero_()
    means = [rows.mean(1) for rows in states.split((5, 3), 1)]
    found = pool(states, pool.within(states), seen)[:, 0]
    close(found, 2 * 1.5 * (means[0] + means[1]), 1e-5)


@lawful
def test_parameters_do_not_depend_on_the_number_of_modalities():
    pool, states, seen = made()
    assert sum(p.numel() for p in pool.parameters()) == 2 * (WIDTH + 1) * INNER
    few = pool(states, pool.within(states), seen[:1])
    assert few.shape == pool(states, pool.within(states), seen).shape == (2, 2, WIDTH)


@lawful
def test_the_order_of_modalities_changes_no_prediction():
    model = shared_model(SLUG)
    first, last = (
        model(batch(tiny(SLUG), [(*of, *ASKED)]))[0, -3:]
        for of in ((PICTURE, WORDS), (WORDS, PICTURE))
    )
    close(first, last, 1e-4)


@lawful
def test_an_answer_pools_the_prompt_and_not_the_answer_before_it():
    model = shared_model(SLUG)
    kept = []
    handle = model.decoder.epilogue.attention.register_forward_hook(
        lambda _, given, out: kept.append(given[2])
    )
    model(batch(tiny(SLUG), [(PICTURE, WORDS, *ASKED)]))
    handle.remove()
    words, regions = kept[0]
    assert int(words[0, -1].sum()) == 4 + 1 and int(regions[0, -1].sum()) > 1
    assert not bool((words & regions).any())


@lawful
def test_published_sizes():
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "fusion") == 2 * (768 + 1) * 128 + 2 * 768
    assert 108e6 < count(model, "decoder", "head") < 111e6
    assert HOST.width == tiny(SLUG).host.width
