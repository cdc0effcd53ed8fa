"""The card of 135 mplug-owl3, in both readings of how a layer joins its two reads."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import Permuted, builds_and_learns, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, cut, fresh, host_of, ragged, real, said, tiny

from chiasm.backbone import GrowingCache
from chiasm.cost import count as cost
from chiasm.fusion import HyperAttention, Merge
from chiasm.layers import attend_slowly, merge_heads, rotate, split_heads
from chiasm.spec import geometry
from chiasm.visibility import dense_mask

SLUG = "mplug-owl3"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
BOTH = {
    merge.value: replace(tiny(SLUG), fusion=HyperAttention(every=2, merge=merge)) for merge in Merge
}
SAMPLE = (said(3, 1), Picture(1, 30, 50), said(4, 2), Picture(2, 9, 9), said(2, 3))
PATCHES = 15


@pytest.fixture(params=list(BOTH))
def answers(request):
    return BOTH[request.param]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)
    assert geometry(SYSTEM.at("paper"), (480, 640)).tokens == 729


@lawful
def test_shuffling_patches_within_an_image_leaves_logits_unchanged(answers):
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [SAMPLE])
    expected = model(inputs)
    order = torch.randperm(PATCHES, generator=torch.Generator().manual_seed(3))
    model.encoder = Permuted(model.encoder, order)
    close(model(inputs), expected, 1e-5)
    other = replace(inputs, images=inputs.images.flip(0))
    assert float((model(other) - expected).abs().max()) > 1e-3


@lawful
def test_an_image_placed_after_a_row_does_not_affect_it(answers):
    model = fresh(answers).requires_grad_(False)
    changed = (*SAMPLE[:3], Picture(5, 9, 9), *SAMPLE[4:])
    one, other = (model(batch(answers, [sample])) for sample in (SAMPLE, changed))
    assert torch.equal(one[:, : 3 + 1 + 4], other[:, : 3 + 1 + 4])
    assert not bool((one == other)[:, 3 + 1 + 4 :].all(-1).any())


@lawful
def test_a_sample_without_an_image_is_its_host(answers):
    """Beside samples that have one, and with every parameter away from its start."""
    model = fresh(answers).requires_grad_(False)
    text = (said(6, 5),)
    alone = batch(answers, [text])
    assert torch.equal(model(alone), host_of(model)(alone))
    beside = batch(answers, [SAMPLE, text])
    close(model(beside)[1, :6], host_of(model)(alone)[0], 1e-5)


@lawful
def test_a_hyper_attention_layer_adds_its_parameters():
    """d 2d_kv + 2d_kv; the paper's gate is one further number a channel."""
    answers = SYSTEM.at("paper")
    d, shared = 3584, 4 * 128
    for merge, gate in ((Merge.JOINED, 0), (Merge.BESIDE, d)):
        stack = on_meta(replace(answers, fusion=HyperAttention(every=8, merge=merge)))
        stack = stack.decoder.stack
        reads = {**dict(stack.joined.items()), **dict(stack.beside.items())}
        assert sorted(map(int, reads)) == [0, 8, 16, 24]
        for read in reads.values():
            added = d * 2 * shared + 2 * shared
            assert sum(p.numel() for p in read.parameters()) == added + gate


def seen_in(model, inputs, *, cache=None):
    """What the last hyper-attention layer was given and gave."""
    seen: list[tuple] = []
    stack = model.decoder.stack
    (slots,) = [slots for slots in (stack.joined, stack.beside) if len(slots)]
    handle = slots["2"].register_forward_hook(lambda module, given, out: seen.append((*given, out)))
    model(inputs, cache=cache)
    handle.remove()
    return slots["2"], seen[0]


def keys_by_hand(model, slot, inside, inputs):
    """W n(m) + b, every key turned by the position of its image's row."""
    k, v = slot.keys.kv_proj(inside.norm(inside.reading.memory.tokens)).chunk(2, -1)
    heads = model.answers.host.kv_heads
    places = inputs.memory.item.float()
    for sample in range(places.shape[0]):
        for at, item in enumerate(inputs.memory.item[sample].tolist()):
            row = (inputs.table.item[sample] == item) & (inputs.source[sample] >= 0)
            if bool(row.any()):
                places[sample, at] = inputs.table.position[sample, row][0, 0]
    tables = model.decoder.stack.rotary(places.unsqueeze(-1))
    return rotate(split_heads(k, heads), tables), split_heads(v, heads)


@lawful
def test_the_gated_read_is_its_equation():
    answers = BOTH["beside"]
    model, inputs = fresh(answers), batch(answers, ragged())
    slot, (inside, read, out) = seen_in(model, inputs)
    k, v = keys_by_hand(model, slot, inside, inputs)
    permitted = dense_mask(model.decoder.stack.memory_rule, inputs.table, inputs.memory)
    cross = merge_heads(attend_slowly(inside.queries, k, v, permitted))
    gate = (inside.normed @ slot.gate.weight.T).sigmoid() * permitted.any(2, keepdim=True)
    expected = (1 - gate) * read + gate * cross
    rows = real(inputs)
    close(out[rows], expected[rows], 1e-5)
    weights = list(slot.parameters())
    made, wanted = (
        torch.autograd.grad(values[rows].square().sum(), weights, retain_graph=True)
        for values in (out, expected)
    )
    for one, other in zip(made, wanted, strict=True):
        close(one, other, 1e-4)


@lawful
def test_the_joined_read_is_one_softmax():
    answers = BOTH["joined"]
    model, inputs = fresh(answers), batch(answers, ragged())
    slot, (inside, _) = seen_in(model, inputs)
    more_k, more_v = keys_by_hand(model, slot, inside, inputs)
    attention = model.decoder.stack.layers[2].self_attn
    seen: list[torch.Tensor] = []
    attention.o_proj.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    model(inputs)
    tables = model.decoder.stack.rotary(inputs.table.position)
    heads = answers.host.kv_heads
    k = rotate(split_heads(attention.k_proj(inside.normed), heads), tables)
    v = split_heads(attention.v_proj(inside.normed), heads)
    own = dense_mask(model.decoder.stack.rules[2], inputs.table, inputs.table)
    images = dense_mask(model.decoder.stack.memory_rule, inputs.table, inputs.memory)
    read = attend_slowly(
        inside.queries,
        torch.cat([k, more_k], 2),
        torch.cat([v, more_v], 2),
        torch.cat([own, images], 2),
    )
    rows = real(inputs)
    close(seen[0][rows], merge_heads(read)[rows], 1e-5)


@lawful
def test_keys_are_turned_by_a_row_that_an_earlier_call_brought(answers):
    """The second piece of a prompt brings the images again, but not the first image's row."""
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [SAMPLE])
    cache, pieces = GrowingCache(), (slice(0, 6), slice(6, None))
    got = [model(cut(inputs, rows, media=True), cache=cache) for rows in pieces]
    close(torch.cat(got, 1), model(inputs), 1e-5)


@lawful
def test_an_image_is_one_row_however_many_tokens_it_has():
    assert [SYSTEM.at("paper").fusion.placeholders(tokens) for tokens in (0, 1, 729)] == [0, 1, 1]
    one, many = (cost(SYSTEM.at("paper"), visual=visual) for visual in (9, 729))
    assert one.rows == many.rows
