"""The card of 062 mmicl. Its Q-Former, without words, equals transformers' of BLIP-2."""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, shared_model, tiny
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from chiasm.connectors import QFormer
from chiasm.data.example import Turn
from chiasm.data.templates import named
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "mmicl"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDTH, OUT = 11, 17
QUERIES = QFormer(latents=5, depth=3, heads=3, head_width=4, ff_width=19, vocabulary=0)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def made() -> torch.nn.Module:
    torch.manual_seed(0)
    connector = QUERIES.build(WIDTH, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return connector


def reference(connector: torch.nn.Module) -> Blip2QFormerModel:
    """transformers' module with the connector's weights."""
    config = Blip2QFormerConfig(
        hidden_size=12,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=19,
        cross_attention_frequency=2,
        encoder_hidden_size=WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    theirs = Blip2QFormerModel(config).eval()
    theirs.layernorm.load_state_dict(connector.norm.state_dict())
    for layer, mine in zip(theirs.encoder.layer, connector.layers, strict=True):
        reads = [(layer.attention, mine.among)]
        if mine.features is not None:
            reads.append((layer.crossattention, mine.features))
        for target, source in reads:
            for name in ("query", "key", "value"):
                getattr(target.attention, name).load_state_dict(getattr(source, name).state_dict())
            target.output.dense.load_state_dict(source.output.state_dict())
            target.output.LayerNorm.load_state_dict(source.norm.state_dict())
        layer.intermediate_query.dense.load_state_dict(mine.think.expand.state_dict())
        layer.output_query.dense.load_state_dict(mine.think.contract.state_dict())
        layer.output_query.LayerNorm.load_state_dict(mine.think.norm.state_dict())
    return theirs


@pytest.mark.evidence(slug=SLUG, grade="matches")
def test_the_q_former_equals_blip_2s_in_values_and_gradients():
    connector = made()
    theirs = reference(connector)
    seeds, grads, outs = torch.randn(2, 5, OUT), [], []
    for ours in (True, False):
        torch.manual_seed(1)
        f = torch.randn(2, 6, WIDTH, requires_grad=True)
        if ours:
            out = connector.connect(Features(f, (2, 3))).embeddings
        else:
            queries = connector.queries.expand(2, -1, -1)
            out = theirs(query_embeds=queries, encoder_hidden_states=f).last_hidden_state
            out = connector.projection(out)
        (out * seeds).sum().backward()
        outs.append(out)
        grads.append(f.grad)
    close(*outs, 1e-5)
    close(*grads, 1e-4)


@lawful
def test_queries_that_read_no_words_hold_no_table_of_them():
    connector = made()
    assert connector.words is None and connector.places is None
    assert all(layer.think_words is None for layer in connector.layers)
    assert not QUERIES.conditioned
    with pytest.raises(ValueError, match="cannot browse"):
        QFormer(latents=5, depth=1, heads=1, head_width=4, ff_width=9, vocabulary=0, browses=True)


@lawful
def test_an_image_takes_32_rows():
    for images in (1, 3):
        assert images * geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 32 * images


@lawful
def test_images_are_declared_by_number_where_they_stand():
    template = named(SYSTEM.at("paper").template)
    turn = Turn("Is image 0 above image 1?", "no", places=(0, 0))
    said = "".join(piece.value for piece in template.pieces(2, (turn,)) if piece.kind != "token")
    first, second = ("image 0 is <image0><image>. ", "image 1 is <image1><image>. ")
    assert said == first + second + "Is image 0 above image 1?\nno"


@lawful
def test_an_image_is_made_into_tokens_without_the_others():
    """So what a name holds goes with its image, wherever both stand."""
    model = shared_model(SLUG)
    pair = [Picture(1, 24, 40), Picture(2, 24, 40)]
    each = geometry(tiny(SLUG), (24, 40)).placeholders
    runs = []
    for first, second in (pair, pair[::-1]):
        media = model.media(batch(tiny(SLUG), [(first, said(2, 1), second, said(3, 2))]))
        assert media is not None
        runs.append(media.entering)
    close(runs[0][:, :each], runs[1][:, each:], 1e-5)
    close(runs[0][:, each:], runs[1][:, :each], 1e-5)


@lawful
def test_padding_images_are_not_encoded():
    """A sample without an image beside one with two: the encoder sees two images."""
    model, seen = fresh(tiny(SLUG)), []
    handle = model.encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    two = (Picture(1, 24, 40), Picture(2, 24, 40), said(3, 2))
    model(batch(tiny(SLUG), [two, (said(4, 1),)]))
    handle.remove()
    assert seen == [2]


@lawful
def test_published_sizes():
    """BLIP-2's Q-Former without its words: 12 layers, six of which read 1408-wide features."""
    model = on_meta(SYSTEM.at("paper"))
    width, wide = 768, 3072
    read = 4 * (width + 1) * width + 2 * width
    cross = 2 * (width + 1) * width + 2 * (1408 + 1) * width + 2 * width
    think = (width + 1) * wide + (wide + 1) * width + 2 * width
    q_former = 12 * (read + think) + 6 * cross + 32 * width + 2 * width
    assert count(model, "connector") == q_former + (width + 1) * 4096
    assert q_former == pytest.approx(105.2e6, rel=0.02)
