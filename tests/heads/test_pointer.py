"""The pointer head: the equation is the reference."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from torch import nn

from chiasm.heads import PointedState, PointerHead
from chiasm.objectives import JointClasses, NextToken
from chiasm.pointing import numbers, scattered
from chiasm.spec import Host
from chiasm.stream import SHARED, Modality, TokenTable

HOST = Host(
    vocabulary=23,
    width=7,
    depth=1,
    heads=1,
    kv_heads=1,
    head_width=4,
    ff_width=5,
    tied_head=True,
)
PLACES = 11


def made(*, fresh: bool = False, **changed):
    torch.manual_seed(0)
    head = PointerHead(pointers=PLACES, **changed).build(HOST, nn.Embedding(23, 7))
    if not fresh:
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape))
    return head


def states(rows: int = 3, shown: int = 5, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, rows, 7, generator=generator),
        torch.randn(2, shown, 7, generator=generator),
        torch.randn(2, shown, 7, generator=generator),
    )


@pytest.mark.parametrize("key_width", [None, 3, 13])
@pytest.mark.parametrize("state", list(PointedState))
@pytest.mark.parametrize("normalised", [False, True])
def test_scores_are_the_equation(key_width, state, normalised):
    head = made(key_width=key_width, state=state, normalised=normalised)
    hidden, finals, entered = states()
    got = head.point(hidden, head.keys(finals, entered))
    q, k = head.pointer.query, head.pointer.key
    assert q.weight.shape == (key_width or 7, 7)
    for sample in range(2):
        for row in range(3):
            for place in range(5):
                of = {PointedState.HIDDEN: finals, PointedState.ENTERED: entered}[state]
                asks = q.weight @ hidden[sample, row] + q.bias
                is_there = k.weight @ of[sample, place] + k.bias
                if normalised:
                    asks, is_there = asks / asks.norm(), is_there / is_there.norm()
                expected = asks.dot(is_there) / 7**0.5
                torch.testing.assert_close(got[sample, row, place], expected)


def test_the_maps_start_as_scaled_identities():
    pointer = made(fresh=True).pointer
    for layer in (pointer.query, pointer.key):
        assert torch.equal(layer.weight, torch.eye(7) * 7**-0.5)
        assert not bool(layer.bias.any())


def test_words_and_places_stand_side_by_side():
    head = made()
    hidden, pointed = states()[0], torch.randn(2, 3, PLACES)
    logits = head.emit(torch.cat([hidden, pointed], -1))
    torch.testing.assert_close(logits[..., :23], hidden @ head.lm_head.weight.T)
    assert torch.equal(logits[..., 23:], pointed)


def test_the_gate_weighs_both_kinds_and_starts_even():
    head, (hidden, *_) = made(gated=True), states()
    pointed = torch.randn(2, 3, PLACES, requires_grad=True)
    closed = pointed + torch.tensor([1.0] * 6 + [0.0] * 5).log()
    logits = head.emit(torch.cat([hidden, closed], -1))
    share = (hidden @ head.pointer.gate.weight.T + head.pointer.gate.bias).sigmoid()
    words = hidden @ head.lm_head.weight.T
    torch.testing.assert_close(logits[..., :23], 2 * (1 - share) * words)
    torch.testing.assert_close(logits[..., 23:29], share * pointed[..., :6])
    assert bool(logits[..., 29:].isneginf().all())
    logits.softmax(-1)[..., 25].sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in head.pointer.gate.parameters())
    assert float(head.pointer.gate.weight.grad.abs().max()) > 0
    fresh = made(gated=True, fresh=True)
    even = fresh.emit(torch.cat([hidden, closed], -1))
    torch.testing.assert_close(even[..., :23], hidden @ fresh.lm_head.weight.T)


def table(segment: list[int], order: list[int], valid: list[bool]) -> TokenTable:
    text = TokenTable.text(torch.tensor([valid]))
    return replace(
        text,
        modality=torch.full_like(text.modality, int(Modality.IMAGE)),
        segment=torch.tensor([segment]),
        order=torch.tensor([order]),
    )


def test_classes_count_what_stands_before():
    """Segments go on from the shared rows, each for itself; padding counts for nothing."""
    segment = [SHARED, SHARED, 1, 1, 2, SHARED]
    rows = table(segment, [1, 2, 5, 6, 5, 0], [True] * 5 + [False])
    assert numbers(rows)[0, :5].tolist() == [0, 1, 2, 3, 2]
    whole = table([SHARED] * 4, [7, 3, 9, 4], [True] * 4)
    assert numbers(whole).tolist() == [[2, 0, 3, 1]]


def test_scores_stand_under_their_class_and_none_elsewhere():
    scores = torch.randn(1, 2, 3, requires_grad=True)
    seen = torch.tensor([[[True, True, False], [False, False, True]]])
    number = torch.tensor([[3, 1, 3]])
    got = scattered(scores, seen, number, 5)
    assert got.isfinite()[0].long().tolist() == [[0, 1, 0, 1, 0], [0, 0, 0, 1, 0]]
    assert got[0, 0, 3] == scores[0, 0, 0] and got[0, 0, 1] == scores[0, 0, 1]
    assert got[0, 1, 3] == scores[0, 1, 2]
    got.softmax(-1).square().sum().backward()
    assert bool(scores.grad.isfinite().all())


def test_the_bill_is_what_is_computed():
    for changed in ({}, {"key_width": 3, "gated": True}):
        head = made(**changed).requires_grad_(False)
        config, (hidden, finals, entered) = head.config, states()
        hidden, finals, entered = hidden[:1], finals[:1], entered[:1]

        def whole(head=head, hidden=hidden, finals=finals, entered=entered):
            pointed = head.point(hidden, head.keys(finals, entered))
            return head.emit(torch.cat([hidden, pointed], -1))

        work = [*config.work(HOST, 3), *config.pointing_work(HOST, 3, 5)]
        assert sum(line.macs for line in work) == operator_macs(whole)
        assert config.pointed(HOST) == head.keys(finals, entered).shape[-1] + 7


@pytest.mark.parametrize("top", [2, 40])
def test_the_penalty_is_that_of_the_largest_scores(top):
    logits = 3 * torch.randn(5, 13, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 12, 3, 3, 7])
    plain = NextToken().judge(logits, labels)
    got = JointClasses(z=0.1, top=top).judge(logits, labels)
    rows = [row.sort(descending=True).values[:top].exp().sum().log() ** 2 for row in logits]
    torch.testing.assert_close(got, plain + 0.1 * torch.stack(rows).mean())
    shared = JointClasses(z=0.1, top=top).judge(logits, labels, total=10)
    torch.testing.assert_close(shared, got / 2)
    closed = torch.cat([logits, torch.zeros(5, 4).log()], 1)
    if top == 2:
        torch.testing.assert_close(JointClasses(z=0.1, top=top).judge(closed, labels), got)
