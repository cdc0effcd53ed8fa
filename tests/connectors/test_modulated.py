"""MoDA's adapter: torch's own transformer decoder is the slow reference."""

import pytest
import torch
from tests.operator_count import operator_macs
from torch import nn

from chiasm.connectors import Modulated
from chiasm.stream import Asked, Features

WIDTH, OUT, GRID, TEXT = 7, 15, (2, 3), 5


def config(**changed) -> Modulated:
    sizes = dict(heads=3, head_width=5, ff_width=11, dropout=0.0)
    return Modulated(**{**sizes, **changed})


def features(valid=None, images=2, seed=1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(images, 6, WIDTH, generator=generator), GRID, valid)


def asked(valid=None, images=2, seed=2) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(images, TEXT, OUT, generator=generator)
    if valid is None:
        valid = torch.ones(images, TEXT, dtype=torch.bool)
    ids = torch.zeros(images, TEXT, dtype=torch.long)
    return Asked(ids=ids, embeddings=words, valid=valid, browse=lambda: torch.zeros(images, OUT))


def reference(connector, depth: int) -> nn.TransformerDecoder:
    """The decoder of the release, with a connector's weights."""
    layer = nn.TransformerDecoderLayer(
        OUT, 3, dim_feedforward=11, dropout=0.0, activation="gelu", batch_first=True
    )
    decoder = nn.TransformerDecoder(layer, depth)
    with torch.no_grad():
        for theirs, ours in zip(decoder.layers, connector.layers, strict=True):
            for read, mine in ((theirs.self_attn, ours.among), (theirs.multihead_attn, ours.words)):
                parts = (mine.query, mine.key, mine.value)
                read.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
                read.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
                read.out_proj.load_state_dict(mine.output.state_dict())
            theirs.linear1.load_state_dict(ours.expand.state_dict())
            theirs.linear2.load_state_dict(ours.contract.state_dict())
            theirs.norm1.load_state_dict(ours.norm_among.state_dict())
            theirs.norm2.load_state_dict(ours.norm_words.state_dict())
            theirs.norm3.load_state_dict(ours.norm.state_dict())
    return decoder


def perturbed(connector):
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return connector


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_equals_torchs_decoder_in_values_and_gradients(depth):
    """Padded words and padded patches are left out of both."""
    torch.manual_seed(0)
    connector = perturbed(config(depth=depth).build(WIDTH, OUT))
    words = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    patches = torch.tensor([[1] * 6, [1, 1, 0, 1, 1, 0]]).bool()
    given = [features(patches) for _ in range(2)]
    for one in given:
        one.tokens.requires_grad_()
    question = [asked(words) for _ in range(2)]
    for one in question:
        one.embeddings.requires_grad_()
    got = connector.connect(given[0], question[0]).embeddings
    tokens = connector.mlp(given[1].tokens)
    hidden = reference(connector, depth)(
        tokens,
        question[1].embeddings,
        tgt_key_padding_mask=~patches,
        memory_key_padding_mask=~words,
    )
    expected = tokens * (hidden @ connector.to_mask.weight.T).sigmoid()
    torch.testing.assert_close(got[patches], expected[patches], rtol=1e-5, atol=1e-5)
    for out in (got, expected):
        out[patches].square().sum().backward()
    torch.testing.assert_close(given[0].tokens.grad, given[1].tokens.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        question[0].embeddings.grad, question[1].embeddings.grad, rtol=1e-4, atol=1e-5
    )


def test_nothing_asked_is_a_question_without_words():
    connector = perturbed(config().build(WIDTH, OUT))
    silent = asked(torch.zeros(2, TEXT, dtype=torch.bool))
    withheld = connector.connect(features()).embeddings
    torch.testing.assert_close(withheld, connector.connect(features(), silent).embeddings)
    assert bool(withheld.isfinite().all())


def test_work_is_what_the_operators_do():
    adapter, connector = config(), config().build(WIDTH, OUT)
    work = [*adapter.work(GRID, WIDTH, OUT), *adapter.asked_work(GRID, WIDTH, OUT, TEXT)]
    made = operator_macs(lambda: connector.connect(features(images=1), asked(images=1)))
    assert sum(w.macs for w in work) == pytest.approx(made, rel=0.01)


def test_dropout_acts_in_training_only():
    connector = config(dropout=0.5).build(WIDTH, OUT)
    learning = [connector.train().connect(features(), asked()).embeddings for _ in range(2)]
    still = [connector.eval().connect(features(), asked()).embeddings for _ in range(2)]
    assert not torch.equal(*learning) and torch.equal(*still)
