"""Recoverable compression: the four parts by their equations, and what depends on the question."""

import math
from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host
from torch.nn.functional import cosine_similarity

from chiasm.compression.evidence import BlockKeys, Encoded, Question, TextSimilarity
from chiasm.compression.local_outliers import outlier_share
from chiasm.compression.methods.recoverable import (
    Outliers,
    RecoverableCompression,
    WholeWidthAttention,
    scaled,
)
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="recoverable-compression", grade="lawful")
GRID = (19, 23)
TOKENS = 19 * 23


def given(method, *, seed=0, extra=()):
    """The reducer, evidence with scores of a few clear outliers, and the scores."""
    (reducer,) = method.reducers(host(depth=32))
    made = evidence(((1, *GRID),), (*reducer.needs, *extra), seed)
    draw = torch.Generator().manual_seed(seed + 1)
    scores = 0.2 + 0.01 * torch.rand(TOKENS, generator=draw)
    apart = torch.randperm(TOKENS, generator=draw)[:17]
    scores[apart[:12]] = 0.4 + 0.5 * torch.rand(12, generator=draw)
    scores[apart[12:]] = torch.tensor([0.02, 0.05, 0.08, 0.11, 0.14])
    seen = dict(made.seen)
    seen[reducer.scorer.look] = scores
    if TextSimilarity() in seen:
        like = 0.1 * torch.rand(TOKENS, generator=draw)
        like[torch.randperm(TOKENS, generator=draw)[:11]] = 0.9
        seen[TextSimilarity()] = like
    return reducer, replace(made, seen=seen), scores


def test_the_published_parts_by_their_equations():
    """Visual picks, text picks, centres with 32 members each, and one for all that is left."""
    method = RecoverableCompression(keep=0.1, by_sample=True, text="tower")
    reducer, made, a = given(method)
    keys, x = made.seen[BlockKeys(block=22)], made.hidden
    t = made.seen[TextSimilarity()] / math.sqrt(768)
    first = round(outlier_share(a, 20) * TOKENS)
    assert first == 17
    visual = set(a.topk(first).indices.tolist())
    masked = t.clone()
    masked[list(visual)] = t.min()
    second = round(outlier_share(masked, 20) * (TOKENS - first))
    assert second >= 5
    text = set(masked.topk(second).indices.tolist())
    assert not visual & text
    others = [i for i in range(TOKENS) if i not in visual | text]
    third = round(outlier_share(a[others], 10) * len(others))
    assert third >= 3
    centres = sorted(others, key=lambda i: -float(a[i]))[:third]
    rest = [i for i in others if i not in centres]
    expected = {i: x[i] for i in visual | text}
    for c in centres:
        near = sorted(
            rest,
            key=lambda i: -float(cosine_similarity(keys[c], keys[i], dim=0) + 50 * t[i]),
        )[:32]
        expected[c] = x[c] + sum(a[i] * x[i] for i in near)
    stand_in = max(rest, key=lambda i: float(a[i]))
    expected[stand_in] = sum(a[i] * x[i] for i in rest)
    left = reducer.reduce(made)
    assert left.index.tolist() == sorted(expected)
    for at, number in enumerate(left.index.tolist()):
        torch.testing.assert_close(left.hidden[at], expected[number], atol=1e-5, rtol=1e-4)


def test_another_question_changes_the_later_parts_only():
    method = RecoverableCompression(keep=0.1, by_sample=True, text="tower")
    reducer, made, a = given(method)
    other = dict(made.seen)
    other[TextSimilarity()] = other[TextSimilarity()].flip(0)
    asked = replace(made, seen=other)
    count = reducer.budget.count(a)
    once, again = (reducer.fate.parts(one, a, count) for one in (made, asked))
    assert torch.equal(once[0], again[0])
    assert not torch.equal(once[1], again[1])
    assert not torch.equal(reducer.reduce(made).hidden, reducer.reduce(asked).hidden)


@pytest.mark.parametrize("by_sample", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_parts_are_disjoint_and_indices_ascend(by_sample, seed):
    method = RecoverableCompression(keep=0.17, by_sample=by_sample, text="tower")
    reducer, made, a = given(method, seed=seed)
    parts = reducer.fate.parts(made, a, reducer.budget.count(a))
    together = torch.cat(parts).tolist()
    assert sorted(together) == list(range(TOKENS))
    index = reducer.reduce(made).index
    assert bool((index.diff() > 0).all())
    if not by_sample:
        assert len(index) == round(0.17 * TOKENS)


@pytest.mark.parametrize("by_sample", [False, True])
def test_equal_scores_are_no_outliers(by_sample):
    method = RecoverableCompression(keep=0.1, by_sample=by_sample, text="tower")
    reducer, made, _ = given(method)
    seen = dict(made.seen)
    seen[reducer.scorer.look] = torch.full((TOKENS,), 1 / TOKENS)
    seen[TextSimilarity()] = torch.full((TOKENS,), 0.2)
    left = reducer.reduce(replace(made, seen=seen))
    assert len(left.index) == (1 if by_sample else round(0.1 * TOKENS))
    assert torch.equal(left.hidden, made.hidden[left.index])


def test_the_encoder_s_features_are_merged_where_they_are_given():
    method = RecoverableCompression(keep=0.2, text="tower")
    reducer, made, _ = given(method, extra=(Encoded(),))
    left = reducer.reduce(made)
    assert left.hidden is None and left.encoded.shape == (len(left.index), 11)


@pytest.mark.parametrize("heads", [1, 2, 5])
@pytest.mark.parametrize("every", [False, True])
def test_whole_width_attention_from_the_heads(heads, every):
    """softmax(q k / sqrt(width)), not split, out of the heads' own probabilities."""
    draw = torch.Generator().manual_seed(heads)
    width = heads * 7
    q, k = (torch.randn(24, width, generator=draw, dtype=torch.float64) for _ in range(2))
    split = [x.unflatten(-1, (heads, 7)).transpose(0, 1) for x in (q, k)]
    attention = (split[0] @ split[1].mT / math.sqrt(7)).softmax(-1)
    asked = q if every else q[:1]
    expected = (asked @ k.T / math.sqrt(width)).softmax(-1).mean(0)[1:]
    shown = attention if every else attention[:, :1]
    got = WholeWidthAttention(block=3, rows_of_all=every).per_patch(shown, 1)
    torch.testing.assert_close(got, expected.float(), atol=1e-6, rtol=1e-4)


def test_without_a_text_tower_likeness_is_that_of_embeddings():
    reducer, made, _ = given(RecoverableCompression(keep=0.2))
    assert Question() in reducer.needs and TextSimilarity() not in reducer.needs
    question = made.seen[Question()].mean(0)
    expected = cosine_similarity(made.hidden, question.unsqueeze(0)) / math.sqrt(768)
    torch.testing.assert_close(reducer.fate.likeness_of(made), expected)
    with pytest.raises(Misuse, match="text='words' is no likeness"):
        RecoverableCompression(keep=0.2, text="words")


def test_the_numbers_found_are_scaled_to_the_budget():
    assert scaled(10, 10, 10, 100, 31) == (10, 10, 10)
    assert scaled(0, 0, 0, 100, 31) == (31, 0, 0)
    assert scaled(20, 10, 0, 100, 30) == (20, 10, 0)
    for found in ((17, 3, 9), (0, 0, 5), (1, 99, 1), (5, 0, 0)):
        for count in (1, 2, 3, 29):
            one, two, three = scaled(*found, 200, count)
            assert one + two + three + bool(three) == count


def test_a_bill_expects_the_budget():
    (reducer,) = RecoverableCompression(keep=0.1, by_sample=True).reducers(host(depth=32))
    assert isinstance(reducer.budget, Outliers) and reducer.budget.expected(576) == 58
    (reducer,) = RecoverableCompression(keep=0.1).reducers(host(depth=32, class_token=False))
    assert reducer.scorer.look == WholeWidthAttention(block=22, rows_of_all=True)
