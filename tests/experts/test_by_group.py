"""Weights by row group: who processes whom, and when it is one model after all."""

import pytest
import torch
from tests.experts.hosts import copied, dense_of, model_with, seen, text_only, with_experts
from tests.tiny import batch, close, ragged, real

from chiasm.assemble import build
from chiasm.experts import WeightsByGroup
from chiasm.experts.adapters import EVERY_SITE, FEED_FORWARD
from chiasm.experts.by_group import NORMS
from chiasm.model import part_of
from chiasm.spec.slots import NormSite
from chiasm.stream import MEDIA, TEXT, Modality, Rows

FULL = WeightsByGroup(kinds=(TEXT, MEDIA), sites=EVERY_SITE, norms=NORMS)
FEED = WeightsByGroup(kinds=(TEXT, MEDIA), sites=FEED_FORWARD, norms=())
THREE = WeightsByGroup(
    kinds=(TEXT, Rows.of(Modality.IMAGE), ~TEXT & ~Rows.of(Modality.IMAGE)),
    sites=EVERY_SITE,
    norms=(NormSite.ATTENTION,),
)
HOSTS = {
    "llama": {},
    "biases and query-key norms": dict(
        query_key_value_bias=True, output_bias=True, mlp_bias=True, query_key_norm=True
    ),
    "sub-norms, plain feed-forward": dict(
        norm="layer", sub_norm=True, gated=False, activation="gelu", embedding_norm=True
    ),
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("answer", [FULL, FEED, THREE], ids=["all", "feed-forward", "three groups"])
def test_copies_are_the_dense_model(answer, host):
    model = model_with(answer, **host)
    inputs = seen(model)
    apart = model(inputs)
    together = copied(model)(inputs)
    close(together, dense_of(model)(inputs), 1e-5)
    assert float((apart - together).detach().abs().max()) > 1e-3


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("answer", [FULL, FEED], ids=["all", "feed-forward"])
def test_text_alone_is_the_dense_model_bit_for_bit(answer, host):
    model = model_with(answer, **host)
    inputs = text_only(model)
    assert torch.equal(model(inputs), dense_of(model)(inputs))


@pytest.mark.parametrize("answer", [FULL, FEED, THREE], ids=["all", "feed-forward", "three groups"])
def test_text_alone_gives_the_other_groups_no_gradient(answer):
    model = model_with(answer)
    model.loss(text_only(model)).backward()
    added = {n: p.grad for n, p in model.named_parameters() if part_of(n) == "experts"}
    assert added
    assert not any(g is not None and bool(g.any()) for g in added.values())


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_all_weights_are_doubled(host):
    """Everything in the stack and its last norm; embeddings and head are shared."""
    model = build(with_experts(FULL, **host), device="meta")
    added = sum(p.numel() for n, p in model.named_parameters() if part_of(n) == "experts")
    stack = sum(p.numel() for p in model.decoder.parameters()) - added
    stack -= model.decoder.embed_tokens.weight.numel()
    assert added == stack
    idle = {m: FULL.idle(model.answers.host, m) for m in (Modality.TEXT, Modality.IMAGE)}
    assert idle == {Modality.TEXT: added, Modality.IMAGE: added}


def test_a_group_may_have_no_rows_and_groups_need_not_be_two():
    model = model_with(THREE)
    inputs = seen(model)
    model(inputs)
    idle = THREE.idle(model.answers.host, Modality.IMAGE)
    added = sum(p.numel() for p in model.part("experts"))
    assert idle == added
    last = [p for n, p in model.named_parameters() if ".experts.1." in n]
    model.loss(inputs).backward()
    assert last and all(p.grad is not None and not bool(p.grad.any()) for p in last)


def test_a_row_in_no_group_is_refused():
    missing = WeightsByGroup(kinds=(TEXT, Rows.of(Modality.AUDIO)), sites=EVERY_SITE, norms=())
    model = model_with(missing)
    with pytest.raises(ValueError, match="no one of 2 groups"):
        model(seen(model))


def test_changing_one_groups_feed_forward_leaves_the_others_rows():
    """In one layer; later layers mix rows by attention."""
    model = model_with(FEED)
    inputs, block = seen(model), model.decoder.stack.layers[0]
    outputs = []
    block.mlp.register_forward_hook(lambda m, given, out: outputs.append(out.detach()))
    model(inputs)
    with torch.no_grad():
        block.mlp.up_proj.experts[0].weight.add_(1.0)
    model(inputs)
    changed = (outputs[0] != outputs[1]).any(-1)[0]
    assert changed.tolist() == [True] * 15 + [False] * 8, "media rows are stored first"


def test_batches_of_other_lengths_agree():
    model = model_with(FULL)
    together = batch(model.answers, ragged())
    logits = model(together)
    for number, sample in enumerate(ragged()):
        close(
            logits[number][real(together)[number]], model(batch(model.answers, [sample]))[0], 1e-4
        )
