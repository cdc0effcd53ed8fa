"""The gated read between two towers, the input layer and the loss of codes, as their equations."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.tiny import HOST, close, reading_of

from chiasm.fusion.lockstep_reads import (
    CodeInput,
    LockStepRead,
    LockStepReads,
    NextCode,
    SeeingInput,
)
from chiasm.layers import attend_slowly
from chiasm.spec.reading import Losses
from chiasm.stream import Memory, Permission, Stream, TokenTable
from chiasm.visibility import BeforeItem, Causal

TOWER = replace(HOST, vocabulary=17, width=23, depth=5, heads=5, kv_heads=1)
CONFIG = LockStepReads(
    tower=TOWER,
    rule=Causal(),
    back=BeforeItem(),
    every=1,
    tower_every=2,
    heads=7,
    head_width=3,
    code_weight=0.7,
)


def drawn(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def table(rows: int) -> TokenTable:
    return TokenTable.text(torch.ones(2, rows, dtype=torch.bool))


def permitted(rows: int, keys: int) -> torch.Tensor:
    """The first row of either sample sees nothing."""
    mask = torch.rand(2, rows, keys, generator=torch.Generator().manual_seed(2)) < 0.6
    mask[:, 0] = False
    return mask


def test_the_read_equals_its_equation_in_values_and_gradients():
    block = drawn(LockStepRead(HOST, TOWER, CONFIG))
    hidden, other = torch.randn(2, 11, HOST.width), torch.randn(2, 13, TOWER.width)
    one, two = (t.requires_grad_() for t in (hidden.clone(), hidden.clone()))
    mask = Permission(dense=permitted(11, 13))
    reading = reading_of(table(11), memory=Memory(other, table(13)), permission=mask)
    got = block(one, reading)
    x = F.gelu(F.linear(other, block.projection[0].weight, block.projection[0].bias))
    normed = F.layer_norm(two, (HOST.width,), block.norm.weight, block.norm.bias, eps=HOST.norm_eps)
    key, value = block.key_value.weight.chunk(2)
    q, k, v = (
        F.linear(rows, weight).view(2, -1, 7, 3).transpose(1, 2)
        for rows, weight in ((normed, block.query.weight), (x, key), (x, value))
    )
    read = attend_slowly(q, k, v, permitted(11, 13)).transpose(1, 2).reshape(2, 11, 21)
    expected = two + block.gate.tanh() * F.linear(read, block.output.weight)
    close(got, expected, 1e-6)
    assert torch.equal(got[:, 0], hidden[:, 0])
    weight = torch.randn_like(got)
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    close(one.grad, two.grad, 1e-5)


def test_a_fresh_gate_leaves_every_bit():
    block, hidden = LockStepRead(HOST, TOWER, CONFIG), torch.randn(2, 11, HOST.width)
    reading = reading_of(
        table(11),
        memory=Memory(torch.randn(2, 13, TOWER.width), table(13)),
        permission=Permission(dense=permitted(11, 13)),
    )
    assert torch.equal(block(hidden, reading), hidden)


def test_only_rows_that_see_codes_pass_the_input_layer():
    layer, hidden = drawn(SeeingInput(29)), torch.randn(2, 11, 29)
    mask = permitted(11, 13)
    got = layer(hidden, reading_of(table(11), permission=Permission(dense=mask)))
    w, v = layer.mlp.last, layer.mlp.first
    passed = hidden + (w(v(hidden).clamp(min=0))).clamp(min=0)
    sees = mask.any(2)
    assert torch.equal(got[~sees], hidden[~sees]) and bool((~sees).any())
    close(got[sees], passed[sees], 1e-6)
    assert torch.equal(layer(hidden, reading_of(table(11))), hidden)


def test_every_code_passes_the_input_layer():
    layer = drawn(CodeInput(TOWER))
    ids = torch.randint(0, 17, (2, 11))
    rows = layer.unimodal.weight[ids]
    w, v = layer.mlp.last, layer.mlp.first
    close(
        layer(ids.unsqueeze(-1).float(), reading_of(table(11))),
        rows + (w(v(rows).clamp(min=0))).clamp(min=0),
        1e-6,
    )


@pytest.mark.parametrize("lengths", [(11, 7), (4, 0), (1, 1)])
def test_the_loss_is_the_mean_over_codes_that_follow_another_of_their_item(lengths):
    layer, ids = drawn(NextCode(CONFIG)), torch.randint(0, 17, (2, 11))
    hidden = torch.randn(2, 11, TOWER.width)
    valid = torch.arange(11) < torch.tensor(lengths).unsqueeze(1)
    item = torch.tensor([1] * 4 + [2] * 7).expand(2, -1)
    rows = replace(TokenTable.text(valid), item=item)
    losses = Losses()
    stream = Stream(ids.unsqueeze(-1).float(), rows)
    assert torch.equal(layer(hidden, reading_of(rows, losses=losses, stream=stream)), hidden)
    terms = [
        -layer.scores(hidden)[b, t].log_softmax(-1)[ids[b, t + 1]]
        for b in range(2)
        for t in range(10)
        if t + 1 < lengths[b] and item[b, t] == item[b, t + 1]
    ]
    expected = 0.7 * torch.stack(terms).mean() if terms else torch.zeros(())
    close(losses.named["next code"], expected, 1e-6)
