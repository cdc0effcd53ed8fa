"""The card of 043 macaw-llm, and its mixture against torch's attention."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import batch, close, fresh, host_of, ragged, said, tiny
from torch import nn

from chiasm.assemble import build
from chiasm.connectors import StridedConv, WordMixture
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.errors import Misuse
from chiasm.layers import split_heads
from chiasm.spec import geometry
from chiasm.stream import Features, Role

SLUG = "macaw-llm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

WORDS, WIDTH, OUT, GRID = 23, 11, 12, (3, 5)
MIXTURE = WordMixture(
    each=StridedConv(kernel=4, stride=3, channels=7), table_rows=WORDS, heads=3, head_width=4
)


def made(table: nn.Embedding | None = None) -> tuple[nn.Module, nn.Embedding]:
    torch.manual_seed(0)
    connector = MIXTURE.build(WIDTH, OUT)
    words = nn.Embedding(WORDS, OUT) if table is None else table
    connector.borrow(words)
    return connector, words


def features() -> Features:
    return Features(torch.randn(2, 15, WIDTH, generator=torch.Generator().manual_seed(1)), GRID)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_counts_by_formula():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 5 + 2
    frames, sound = ((36, 30), (240, 220))
    clip = StridedConv(kernel=frames[0], stride=frames[1], channels=768)
    heard = StridedConv(kernel=sound[0], stride=sound[1], channels=512)
    assert clip.count((6 * 14, 14)) == 39 and heard.count((1, 1500)) == 6
    with pytest.raises(Misuse, match="kernel of 36 does not fit 35"):
        clip.count((5, 7))


@lawful
def test_without_an_image_it_is_its_host():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    inputs = batch(tiny(SLUG), [(said(5, 1), said(2, 2, Role.ASSISTANT))])
    assert torch.equal(model(inputs), host_of(model)(inputs))


@lawful
def test_it_is_torchs_attention_with_a_learned_slot_and_one_of_zeros():
    connector, words = made()
    theirs = nn.MultiheadAttention(OUT, 3, add_bias_kv=True, add_zero_attn=True, batch_first=True)
    parts = (connector.query, connector.key, connector.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.bias_k.copy_(connector.own_key)
        theirs.bias_v.copy_(connector.own_value)
    theirs.out_proj.load_state_dict(connector.output.state_dict())
    tokens = connector.each.connect(features()).embeddings
    table = words.weight.expand(2, -1, -1)
    expected, weights = theirs(tokens, table, table, average_attn_weights=False)
    got = connector.connect(features()).embeddings
    close(got, expected, 1e-5)
    assert weights.shape == (2, 3, 4, WORDS + 2)
    one, other = (
        torch.autograd.grad(out.square().sum(), words.weight, retain_graph=True)[0]
        for out in (got, expected)
    )
    close(one, other, 1e-5)


@lawful
def test_weights_over_words_and_two_slots_sum_to_one():
    """Where every value is 1, so is what a head reads: the slot of zeros reads 0 in its share."""
    connector, _ = made()
    connector.requires_grad_(False)
    q = split_heads(connector.query(connector.each.connect(features()).embeddings), 3)
    keys, values = connector.slots()
    weights = (q @ split_heads(keys[None], 3).transpose(-1, -2) / 4**0.5).softmax(-1)
    assert weights.shape[-1] == WORDS + 2 and not bool(values[-1].any())
    close(weights.sum(-1), torch.ones(2, 3, 4), 1e-6)
    read = (weights @ split_heads(values[None], 3)).transpose(1, 2).flatten(2)
    close(connector.connect(features()).embeddings, connector.output(read), 1e-5)


@lawful
def test_the_order_of_words_does_not_matter():
    connector, words = made()
    connector.requires_grad_(False)
    before = connector.connect(features()).embeddings
    order = torch.randperm(WORDS, generator=torch.Generator().manual_seed(2))
    shuffled = nn.Embedding.from_pretrained(words.weight.detach()[order])
    connector.borrow(shuffled)
    close(connector.connect(features()).embeddings, before, 1e-5)
    connector.borrow(nn.Embedding.from_pretrained(2.0 * words.weight.detach()))
    assert float((connector.connect(features()).embeddings - before).abs().max()) > 1e-3


@lawful
def test_the_table_is_the_hosts_own():
    """It is borrowed, not kept, and learns from what images read of it."""
    model, inputs = build(tiny(SLUG)), batch(tiny(SLUG), ragged())
    assert not any("table" in name for name in model.state_dict())
    table = model.decoder.embed_tokens
    rows = model.stream(inputs).embeddings[inputs.source >= 0]
    rows.square().sum().backward()
    assert bool((table.weight.grad.abs().amax(-1) > 0).all())
    wrong = replace(MIXTURE, table_rows=WORDS + 1).build(WIDTH, OUT)
    with pytest.raises(Misuse, match=f"{WORDS + 1} words does not fit a host of {WORDS}"):
        wrong.borrow(nn.Embedding(WORDS, OUT))


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
