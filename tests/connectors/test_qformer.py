"""The Q-Former: transformers' InstructBLIP one is the reference, the condition is added to it."""

import pytest
import torch
from tests.operator_count import operator_macs
from torch import nn
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from chiasm.connectors import QFormer
from chiasm.stream import Asked, Features

WIDTH, OUT, GRID = 11, 17, (2, 3)
SIZES = dict(latents=5, depth=3, heads=3, head_width=4, ff_width=19, vocabulary=53, most_words=13)


def made(seed: int = 0, *, browses: bool = False, width: int = WIDTH, **changed) -> nn.Module:
    """A connector whose every parameter matters."""
    torch.manual_seed(seed)
    config = QFormer(**{**SIZES, **changed}, browses=browses)
    connector = config.build(width, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return connector


def features(images: int = 2, width: int = WIDTH, *, valid=None, seed: int = 1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(images, 6, width, generator=generator), GRID, valid)


def asked(images: int = 2, words: int = 7, *, valid=None, browse=None, seed: int = 2) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 53, (images, words), generator=generator)
    if valid is None:
        valid = torch.ones(images, words, dtype=torch.bool)
    return Asked(ids=ids, embeddings=torch.zeros(images, words, OUT), valid=valid, browse=browse)


def reference(connector: nn.Module, width: int) -> InstructBlipQFormerModel:
    """transformers' module with the connector's weights."""
    sizes = connector.sizes
    config = InstructBlipQFormerConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.inner,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.ff_width,
        max_position_embeddings=sizes.most_words,
        cross_attention_frequency=sizes.cross_every,
        encoder_hidden_size=width,
    )
    theirs = InstructBlipQFormerModel(config).eval()

    def read(target, source) -> None:
        for name in ("query", "key", "value"):
            getattr(target.attention, name).load_state_dict(getattr(source, name).state_dict())
        target.output.dense.load_state_dict(source.output.state_dict())
        target.output.LayerNorm.load_state_dict(source.norm.state_dict())

    def think(first, second, source) -> None:
        first.dense.load_state_dict(source.expand.state_dict())
        second.dense.load_state_dict(source.contract.state_dict())
        second.LayerNorm.load_state_dict(source.norm.state_dict())

    theirs.embeddings.word_embeddings.load_state_dict(connector.words.state_dict())
    theirs.embeddings.position_embeddings.load_state_dict(connector.places.state_dict())
    theirs.embeddings.layernorm.load_state_dict(connector.norm.state_dict())
    for layer, mine in zip(theirs.encoder.layer, connector.layers, strict=True):
        read(layer.attention, mine.among)
        if mine.features is not None:
            read(layer.crossattention, mine.features)
        think(layer.intermediate_query, layer.output_query, mine.think)
        if mine.think_words is not None:
            think(layer.intermediate, layer.output, mine.think_words)
    return theirs


def said_by(theirs, connector, given: Features, words: Asked) -> torch.Tensor:
    """What the reference makes of the same queries, words and features."""
    count = connector.sizes.latents
    queries = connector.queries.expand(len(given.tokens), -1, -1)
    mask = torch.cat([torch.ones(queries.shape[:2], dtype=torch.long), words.valid.long()], 1)
    seen = None if given.valid is None else given.valid.long()
    out = theirs(
        input_ids=words.ids,
        attention_mask=mask,
        query_embeds=queries,
        encoder_hidden_states=given.tokens,
        encoder_attention_mask=seen,
    )
    return connector.projection(out.last_hidden_state[:, :count])


CASES = [
    dict(),
    dict(latents=3, depth=4, heads=2, head_width=7, ff_width=23, cross_every=3),
    dict(depth=1, heads=5, cross_every=1),
    dict(latents=7, depth=5, cross_every=2, most_words=29),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("padded", [False, True])
def test_equals_the_reference_in_values_and_gradients(case, padded):
    width = WIDTH + case
    connector = made(case, width=width, **CASES[case])
    theirs = reference(connector, width)
    valid, heard = None, torch.ones(2, 7, dtype=torch.bool)
    if padded:
        valid = torch.ones(2, 6, dtype=torch.bool)
        valid[1, 4:] = False
        heard[0, 5:] = False
    given, words = features(width=width, valid=valid, seed=case), asked(valid=heard)
    got, expected = connector.connect(given, words).embeddings, None
    expected = said_by(theirs, connector, given, words)
    torch.testing.assert_close(got, expected, rtol=0.0, atol=1e-5)
    weights = torch.randn(got.shape, generator=torch.Generator().manual_seed(3))
    one = torch.autograd.grad((got * weights).sum(), connector.queries, retain_graph=True)
    other = torch.autograd.grad((expected * weights).sum(), connector.queries)
    torch.testing.assert_close(one, other, rtol=0.0, atol=1e-4)


def test_padding_is_never_read():
    """Other words and features where there is padding give the same tokens, bit for bit."""
    connector = made()
    valid, heard = torch.ones(2, 6, dtype=torch.bool), torch.ones(2, 7, dtype=torch.bool)
    valid[:, 5:], heard[:, 3:] = False, False
    given, words = features(valid=valid), asked(valid=heard)
    got = connector.connect(given, words).embeddings
    given.tokens[:, 5:] += 3.0
    words.ids[:, 3:] = 60
    assert torch.equal(connector.connect(given, words).embeddings, got)
    words.ids[:, 2] = 3
    assert not torch.equal(connector.connect(given, words).embeddings, got)


def test_words_behind_the_last_place_are_not_read():
    connector, words = made(most_words=5), asked(words=7)
    got = connector.connect(features(), words).embeddings
    words.ids[:, 5:] = 1
    assert torch.equal(connector.connect(features(), words).embeddings, got)


def test_the_condition_is_added_to_every_query():
    """W h + b on the queries is what queries moved by it give."""
    connector = made(browses=True)
    held = torch.randn(2, OUT, generator=torch.Generator().manual_seed(5))
    got = connector.connect(features(), asked(browse=lambda: held)).embeddings
    moved = [
        connector.queries + connector.condition.weight @ h + connector.condition.bias for h in held
    ]
    plain = connector.queries.detach().clone()
    for image, queries in enumerate(moved):
        connector.queries.data = queries.detach()
        expected = connector.connect(features(), asked(browse=None)).embeddings
        torch.testing.assert_close(got[image], expected[image], rtol=0.0, atol=1e-5)
        connector.queries.data = plain


def test_a_fresh_condition_is_zero_and_learns():
    torch.manual_seed(0)
    connector = QFormer(**SIZES, browses=True).build(WIDTH, OUT)
    held = torch.randn(2, OUT)
    got = connector.connect(features(), asked(browse=lambda: held)).embeddings
    assert torch.equal(got, connector.connect(features(), asked()).embeddings)
    (got * torch.randn(got.shape)).sum().backward()
    assert float(connector.condition.weight.grad.abs().max()) > 0


@pytest.mark.parametrize("browses", [False, True])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_bill_is_what_is_computed(case, browses):
    connector = made(case, browses=browses, **CASES[case]).requires_grad_(False)
    config, images = connector.sizes, 1
    words = asked(images, browse=lambda: torch.zeros(images, OUT))
    work = [*config.work(GRID, WIDTH, OUT), *config.asked_work(GRID, WIDTH, OUT, 7)]
    work += config.browsed_work(OUT) if browses else ()
    made_of = operator_macs(lambda: connector.connect(features(images), words))
    assert sum(line.macs for line in work) == made_of
