"""Encoders weighed by picture and question; an MLP over encoders side by side is the reference."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.connectors import MLP, WeighedEncoders
from chiasm.errors import Misuse
from chiasm.stream import Asked, Features

OUT, WORDS = 11, 5
SHARES = (2, 1, 4)


def made(unit: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return WeighedEncoders(each=MLP(), shares=SHARES).build(unit * sum(SHARES), OUT)


def features(images: int = 2, grid=(2, 3), unit: int = 3, seed: int = 1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    shape = images, grid[0] * grid[1], unit * sum(SHARES)
    return Features(torch.randn(shape, generator=generator), grid)


def asked(images: int = 2, seed: int = 2, routing=None) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    return Asked(
        ids=torch.zeros(images, WORDS, dtype=torch.long),
        embeddings=torch.randn(images, WORDS, OUT, generator=generator),
        valid=torch.ones(images, WORDS, dtype=torch.bool),
        browse=None,
        routing=routing,
    )


def drawn(connector: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in connector.router.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return connector


def test_a_fresh_one_is_its_connector_over_encoders_side_by_side():
    connector = made()
    torch.testing.assert_close(
        connector.connect(features(), asked()).embeddings,
        connector.each.connect(features()).embeddings,
    )


def test_weights_by_hand():
    """One picture at a time, one encoder at a time."""
    connector, f, a = drawn(made()), features(), asked()
    for at in range(2):
        both = torch.cat([f.tokens[at].mean(0), a.embeddings[at].mean(0)])
        r = (connector.router.weight @ both + connector.router.bias).softmax(0)
        torch.testing.assert_close(connector.weights(f, a)[at], r)
        parts = [3 * r[e] * part for e, part in enumerate(f.tokens[at].split([6, 3, 12], -1))]
        expected = connector.each.connect(Features(torch.cat(parts, -1)[None], f.grid))
        got = connector.connect(f, a).embeddings[at]
        torch.testing.assert_close(got, expected.embeddings[0])


def test_a_routing_that_is_given_stands_in():
    connector, f = drawn(made()), features()
    own = connector.weights(f, asked())
    same = connector.connect(f, asked(routing=own)).embeddings
    assert torch.equal(same, connector.connect(f, asked()).embeddings)
    one = torch.eye(3)[[1, 2]]
    routed = connector.connect(f, asked(routing=one)).embeddings
    cut = f.tokens.clone()
    cut[0, :, :6] = cut[0, :, 9:] = cut[1, :, :9] = 0
    alone = connector.each.connect(Features(3 * cut, f.grid)).embeddings
    torch.testing.assert_close(routed, alone)
    with pytest.raises(Misuse, match="the routing weighs 2 experts, but 3 encoders stand"):
        connector.connect(f, asked(routing=torch.ones(2, 2) / 2))


def test_shares_that_do_not_divide_are_refused():
    with pytest.raises(Misuse, match="do not divide features of width 22"):
        WeighedEncoders(each=MLP(), shares=SHARES).build(22, OUT)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 5)), st.integers(1, 4))
def test_planned_tokens_are_produced_and_padding_is_not_read(images, grid, unit):
    config = WeighedEncoders(each=MLP(), shares=SHARES)
    connector, f = drawn(made(unit)), features(images, grid, unit)
    tokens = connector.connect(f, asked(images)).embeddings
    assert tokens.shape == (images, config.count(grid), OUT)
    more = torch.full_like(f.tokens[:, :2], 9.0)
    held = torch.ones(images, f.tokens.shape[1] + more.shape[1], dtype=torch.bool)
    held[:, f.tokens.shape[1] :] = False
    padded = Features(torch.cat([f.tokens, more], 1), (1, held.shape[1]), held)
    torch.testing.assert_close(
        connector.weights(padded, asked(images)), connector.weights(f, asked(images))
    )
    words = asked(images)
    longer = replace(
        words,
        embeddings=torch.cat([words.embeddings, 7 + words.embeddings], 1),
        valid=torch.cat([words.valid, ~words.valid], 1),
    )
    torch.testing.assert_close(connector.weights(f, longer), connector.weights(f, words))
