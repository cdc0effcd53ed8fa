"""The card of 071 crosslmm."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, cut, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.compression import PooledTokens
from chiasm.cost import count as cost
from chiasm.fusion import InSequence
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.spec import Frames, geometry
from chiasm.visibility import dense_mask

SLUG = "crosslmm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
FRAMES, PATCHES, KEPT = 3, 15, 4
CLIP = replace(tiny(SLUG), views=Frames(FRAMES, 24, 40))
SAMPLE = (said(3, 1), Picture(1, 72, 40), said(4, 2))
PIECES = (*SAMPLE, Picture(2, 72, 40), said(2, 3))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)
    plan = geometry(SYSTEM.at("paper"), (480, 640))
    assert (plan.tokens, plan.placeholders) == (32 * 81, 32 * 9)


def closed(model):
    for slot in model.decoder.stack.between.values():
        slot.v2v.gate.zero_()
        slot.t2v.gate.zero_()
    return model


@lawful
@pytest.mark.parametrize("answers", [tiny(SLUG), CLIP], ids=["picture", "clip"])
def test_closed_gates_give_the_plain_model_of_the_pooled_tokens(answers):
    model = fresh(answers).requires_grad_(False)
    plain = build(replace(answers, fusion=InSequence())).eval().requires_grad_(False)
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    inputs = batch(answers, ragged())
    rows = real(inputs)
    assert float((model(inputs) - plain(inputs))[rows].abs().max()) > 1e-3
    close(closed(model)(inputs)[rows], plain(inputs)[rows], 1e-6)


def with_memory(model, inputs, order):
    """Logits over the memory in another order; the pooled rows stay what they were."""
    stream = model.stream(inputs)
    memory = stream.memory.with_tokens(stream.memory.tokens[:, order])
    return model.scores(model.decoder(replace(stream, memory=memory)))


@lawful
def test_permuting_a_frames_tokens_leaves_logits_unchanged():
    model, inputs = fresh(CLIP).requires_grad_(False), batch(CLIP, [SAMPLE])
    expected = model(inputs)
    generator = torch.Generator().manual_seed(3)
    within = [frame * PATCHES + torch.randperm(PATCHES, generator=generator) for frame in range(3)]
    close(with_memory(model, inputs, torch.cat(within)), expected, 1e-5)
    across = torch.cat([within[1], within[0], within[2]])
    assert float((with_memory(model, inputs, across) - expected).abs().max()) > 1e-3


def sub_layer(model, inputs):
    """Rows before and after the first layer's reads."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    slot = model.decoder.stack.between["0"]
    handle = slot.register_forward_hook(lambda module, given, out: seen.append((given[0], out)))
    model(inputs)
    handle.remove()
    return seen[0]


@lawful
@pytest.mark.parametrize("shut", ["v2v", "t2v"])
def test_each_read_leaves_the_other_rows_unchanged(shut):
    model, inputs = fresh(CLIP).requires_grad_(False), batch(CLIP, [SAMPLE])
    getattr(model.decoder.stack.between["0"], shut).gate.zero_()
    before, after = sub_layer(model, inputs)
    changed = (before != after).any(-1)[0]
    media = torch.arange(len(changed)) < FRAMES * KEPT  # media rows are stored first
    assert torch.equal(
        changed[~media], torch.full((7,), shut == "v2v") & torch.tensor([False] * 3 + [True] * 4)
    )
    assert bool((changed[media] == (shut == "t2v")).all())


@lawful
def test_pooled_rows_read_their_own_frame_and_text_all_earlier_clips():
    """By the slow reference, in values and gradients."""
    model, inputs = fresh(CLIP), batch(CLIP, [PIECES, SAMPLE])
    seen: list[tuple] = []
    slot = model.decoder.stack.between["0"]
    slot.register_forward_hook(lambda module, given, out: seen.append((*given, out)))
    model(inputs)
    ((hidden, reading, out),) = seen
    table, memory = reading.table, reading.memory
    same = table.item.unsqueeze(2) == memory.table.item.unsqueeze(1)
    frame = same & (table.unit.unsqueeze(2) == memory.table.unit.unsqueeze(1))
    earlier = table.item.unsqueeze(2) >= memory.table.item.unsqueeze(1)
    media = (table.modality > 0).unsqueeze(-1)
    permitted = torch.where(media, frame, earlier) & memory.table.valid.unsqueeze(1)
    assert torch.equal(
        permitted[table.valid],
        dense_mask(model.decoder.stack.memory_rule, table, memory.table)[table.valid],
    )
    k, v = (split_heads(x, slot.heads) for x in slot.to_kv(memory.tokens).chunk(2, -1))

    def read(part):
        q = split_heads(part.to_q(part.norm(hidden)), slot.heads)
        return part.gate.tanh() * part.to_out(merge_heads(attend_slowly(q, k, v, permitted)))

    expected = hidden + torch.where(media, read(slot.v2v), read(slot.t2v))
    rows = table.valid
    close(out[rows], expected[rows], 1e-5)
    weights = list(slot.parameters())
    made, wanted = (
        torch.autograd.grad(values[rows].square().sum(), weights, retain_graph=True)
        for values in (out, expected)
    )
    for one, other in zip(made, wanted, strict=True):
        close(one, other, 1e-4)


@lawful
def test_the_decoders_own_cache_does_not_depend_on_the_unpooled_tokens():
    answers = SYSTEM.at("paper")
    finer = replace(answers, connector=replace(answers.connector, factor=1))
    few, many = cost(answers), cost(finer)
    assert few.rows == many.rows
    own = [
        bill.kv_bytes - 2 * which.fusion.cached(which.host, geometry(which, bill.image).tokens)
        for bill, which in ((few, answers), (many, finer))
    ]
    assert own[0] == own[1]
    model, inputs = fresh(CLIP).requires_grad_(False), batch(CLIP, [SAMPLE])
    cache = GrowingCache()
    model(inputs, cache=cache)
    assert {pair[0].shape[2] for pair in cache._layers.values()} == {7 + FRAMES * KEPT}


@lawful
def test_a_cached_step_reuses_the_clips_keys():
    model, inputs = fresh(CLIP).requires_grad_(False), batch(CLIP, [SAMPLE])
    made: list[int] = []
    for slot in model.decoder.stack.between.values():
        slot.to_kv.register_forward_hook(lambda module, given, out: made.append(out.shape[1]))
    cache = GrowingCache()
    model(inputs, cache=cache)
    first = len(made)
    step = cut(batch(CLIP, [(*SAMPLE, said(1, 9))]), slice(-1, None), media=False)
    got = model(step, cache=cache)
    assert len(made) == first == len(model.decoder.stack.between)
    close(got[:, -1], model(batch(CLIP, [(*SAMPLE, said(1, 9))]))[:, -1], 1e-5)


@lawful
def test_keys_and_values_are_shared_by_both_reads():
    answers = SYSTEM.at("paper")
    d = inner = 3584
    each = 2 * d * inner + 2 * (2 * d + d * inner + inner * d + 1)
    assert count(on_meta(answers), "fusion") == 7 * each


@lawful
def test_pooled_rows_are_means_of_the_frames_own_tokens():
    model, inputs = fresh(CLIP).requires_grad_(False), batch(CLIP, [SAMPLE])
    media = model.media(inputs)
    pool = PooledTokens(frames=1, kept_frames=1, side=2)
    frames = media.memory.tokens.unflatten(1, (FRAMES, 3, 5))
    assert pool.count(PATCHES) == KEPT
    expected = [
        frames[0, t, y, x].flatten(0, 1).mean(0)
        for t in range(FRAMES)
        for y in (slice(0, 2), slice(1, 3))
        for x in (slice(0, 3), slice(2, 5))
    ]
    close(media.entering[0], torch.stack(expected), 1e-5)
