"""The card of 242 omnifusion, and its adapter against torch's encoder layer."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny
from torch import nn

from chiasm.connectors import MLP, TransformerAdapter
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "omnifusion"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

ADAPTER = TransformerAdapter(depth=2, heads=3, ff_width=19)
WIDTH, OUT, GRID = 12, 17, (3, 5)


def drawn(config=ADAPTER, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    connector = config.build(WIDTH, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return connector


def features(seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 15, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_an_image_takes_578_rows():
    for size in ((480, 640), (31, 17)):
        assert geometry(SYSTEM.at("paper"), size).placeholders == 576 + 2


@lawful
def test_it_is_torchs_encoder_layer_in_values_and_gradients():
    ours = drawn()
    theirs = [
        nn.TransformerEncoderLayer(WIDTH, 3, 19, dropout=0.0, batch_first=True) for _ in range(2)
    ]
    for mine, layer in zip(ours.layers, theirs, strict=True):
        state = {
            "self_attn.in_proj": mine.qkv,
            "self_attn.out_proj": mine.output,
            "linear1": mine.expand,
            "linear2": mine.contract,
            "norm1": mine.norm_read,
            "norm2": mine.norm,
        }
        joints = {"self_attn.in_proj": "_"}
        layer.load_state_dict(
            {
                f"{name}{joints.get(name, '.')}{kind}": getattr(part, kind).detach()
                for name, part in state.items()
                for kind in ("weight", "bias")
            }
        )
    valid = torch.ones(2, 15, dtype=torch.bool)
    valid[1, 11:] = False
    one, other = features().requires_grad_(), features().requires_grad_()
    got = ours.connect(Features(one, GRID, valid)).embeddings[valid]
    hidden = other
    for layer in theirs:
        hidden = layer(hidden, src_key_padding_mask=~valid)
    expected = ours.projection(hidden)[valid]
    close(got, expected, 1e-5)
    weight = torch.randn(got.shape, generator=torch.Generator().manual_seed(3))
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    assert one.grad is not None and other.grad is not None
    close(one.grad, other.grad, 1e-5)


@lawful
def test_permuting_patches_permutes_rows():
    connector = drawn().requires_grad_(False)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(2))
    rows = connector.connect(Features(features(), GRID)).embeddings
    close(connector.connect(Features(features()[:, order], GRID)).embeddings, rows[:, order], 1e-5)


@lawful
def test_patches_see_each_other_as_they_do_not_through_an_mlp():
    changed = features()
    changed[:, 4] += 1.0
    for config, others in ((ADAPTER, True), (MLP(), False)):
        connector = drawn(config).requires_grad_(False)
        rows = connector.connect(Features(features(), GRID)).embeddings
        apart = connector.connect(Features(changed, GRID)).embeddings - rows
        moved = apart.abs().amax(-1) > 1e-5
        assert bool(moved[:, 4].all())
        assert bool(moved[:, [0, 3, 14]].all()) is others
        assert bool(moved[:, [0, 3, 14]].any()) is others


@lawful
def test_its_vectors_are_no_words():
    answers = SYSTEM.at("paper")
    model, plain = (on_meta(a) for a in (answers, replace(answers, connector=MLP())))
    assert model.decoder.embed_tokens.weight.shape == (32_000, 4096)
    assert count(model, "decoder", "head") == count(plain, "decoder", "head")
    assert {name for name, _ in model.connector.named_parameters(recurse=False)} == {"begin", "end"}
    small = fresh(tiny(SLUG)).requires_grad_(False)
    inputs = batch(tiny(SLUG), [(said(3, 1), Picture(1, 30, 50), said(2, 2))])
    rows = small.stream(inputs).embeddings[inputs.source >= 0]
    assert torch.equal(rows[[0, -1]], torch.cat([small.connector.begin, small.connector.end])[:, 0])


@lawful
def test_work_equals_the_operator_count():
    connector = drawn().requires_grad_(False)
    given = Features(features()[:1], GRID)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(work.macs for work in ADAPTER.work(GRID, WIDTH, OUT)) == counted
