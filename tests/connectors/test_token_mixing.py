"""EMMA's mixture; concatenate, transpose, one linear layer, transpose back is the reference."""

import pytest
import torch
from tests.operator_count import operator_macs
from torch import nn
from transformers import CLIPTextModel

from chiasm.connectors import HostWords, TextTower, TokenMixing
from chiasm.errors import Misuse
from chiasm.stream import Asked, Features

WIDTH, OUT, GRID, MOST = 7, 13, (2, 3), 5
TOWER = TextTower(vocabulary=101, width=12, depth=2, heads=3, ff_width=17)


def config(reader=TOWER) -> TokenMixing:
    return TokenMixing(reader=reader, patches=6, most_words=MOST)


def features(seed=1, images=2) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(images, 6, WIDTH, generator=generator), GRID)


def asked(count=4, seed=2, images=2) -> Asked:
    """The first question has a word less."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 101, (images, count), generator=generator)
    valid = torch.ones(images, count, dtype=torch.bool)
    if images > 1 and count:
        valid[0, -1] = False
    words = torch.randn(images, count, OUT, generator=generator)
    return Asked(ids=ids, embeddings=words, valid=valid, browse=lambda: torch.zeros(images, OUT))


def opened(mixing: TokenMixing):
    torch.manual_seed(0)
    connector = mixing.build(WIDTH, OUT).eval()
    nn.init.normal_(connector.mixing.weight)
    nn.init.normal_(connector.mixing.bias)
    return connector


@pytest.mark.parametrize("count", [1, 4, 5, 8])
@pytest.mark.parametrize("reader", [TOWER, HostWords()], ids=["tower", "host"])
def test_equals_a_linear_layer_over_the_token_axis(reader, count):
    connector, question = opened(config(reader)), asked(count)
    given = [features() for _ in range(2)]
    for one in given:
        one.tokens.requires_grad_()
    kept = min(count, MOST)
    states = question.embeddings
    if reader is TOWER:
        states = connector.reader.text_tower(input_ids=question.ids[:, :kept]).last_hidden_state
    words = torch.zeros(2, MOST, WIDTH)
    said = nn.functional.gelu(connector.word_proj(states[:, :kept]))
    words[:, :kept] = said * question.valid[:, :kept].unsqueeze(-1)
    rows = torch.cat([given[1].tokens, words], 1)
    expected = connector.mixing(rows.transpose(1, 2)).transpose(1, 2)
    got = connector.mix(given[0].tokens, question)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    gradients = []
    for one, out in zip(given, (got, expected), strict=True):
        connector.zero_grad()
        out.square().sum().backward(retain_graph=True)
        gradients.append([one.tokens.grad, connector.mixing.weight.grad.clone()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_tower_is_clips_own_and_reads_no_padding():
    connector, question = opened(config()), asked()
    assert type(connector.reader.text_tower) is CLIPTextModel
    plain = connector.mix(features().tokens, question)
    question.ids[0, -1] = (question.ids[0, -1] + 1) % 101
    assert torch.equal(connector.mix(features().tokens, question), plain)
    question.ids[0, 0] = (question.ids[0, 0] + 1) % 101
    assert not torch.equal(connector.mix(features().tokens, question), plain)


def test_nothing_asked_has_no_words():
    connector = opened(config())
    withheld = connector.mix(features().tokens, None)
    torch.testing.assert_close(connector.mix(features().tokens, asked(0)), withheld)
    silent = asked()
    silent.valid[:] = False
    torch.testing.assert_close(connector.mix(features().tokens, silent), withheld)


def test_another_number_of_tokens_is_refused():
    with pytest.raises(Misuse, match=r"2 x 4 tokens does not fit a mixture of 6"):
        config().count((2, 4))


@pytest.mark.parametrize("count", [3, 9])
@pytest.mark.parametrize("reader", [TOWER, HostWords()], ids=["tower", "host"])
def test_work_is_what_the_operators_do(reader, count):
    mixing = config(reader)
    connector = mixing.build(WIDTH, OUT)
    work = [*mixing.work(GRID, WIDTH, OUT), *mixing.asked_work(GRID, WIDTH, OUT, count)]
    made = operator_macs(lambda: connector.connect(features(images=1), asked(count, images=1)))
    assert sum(w.macs for w in work) == pytest.approx(made, rel=0.01)
