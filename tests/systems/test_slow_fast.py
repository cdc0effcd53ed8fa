"""The card of 060 slow-fast."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.compression import PooledTokens
from chiasm.cost import count as cost
from chiasm.encoders import FrameStack
from chiasm.fusion import InSequence, SlowFast
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.spec import Answers, Fixed, geometry
from chiasm.visibility import dense_mask

SLUG = "slow-fast"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
FRAMES, PATCHES = 5, 15


def clip(frames: int = FRAMES, kept: int = 2) -> Answers:
    """The tiny answers on clips of frames of 3 x 5 tokens, averaged over time."""
    answers = tiny(SLUG)
    return replace(
        answers,
        views=Fixed(frames * 24, 40),
        encoder=FrameStack(each=answers.encoder, frames=frames),
        compression=PooledTokens(frames=frames, kept_frames=kept, side=None),
    )


SAMPLE = (said(3, 1), Picture(1, FRAMES * 24, 40), said(4, 2))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    for scale in ("smol", "paper"):
        assert count(on_meta(SYSTEM.at(scale))) > 10**8
    plan = geometry(SYSTEM.at("paper"), (480, 640))
    assert (plan.tokens, plan.kept, plan.placeholders) == (128 * 81, 16 * 81, 16 * 81)
    for answers in (SYSTEM.at("nano"), clip()):
        model, inputs = build(answers).train(), batch(answers, ragged())
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        first = model.loss(inputs)
        first.backward()
        optimiser.step()
        assert model.loss(inputs).item() < first.item()


@lawful
@pytest.mark.parametrize("answers", [tiny(SLUG), clip()], ids=["picture", "clip"])
def test_with_a_closed_gate_it_is_the_model_of_the_fast_tokens(answers):
    """Bit for bit, in storage order too: only the sorted rows' kernels differ."""
    model = fresh(answers).requires_grad_(False)
    fast = build(replace(answers, fusion=InSequence())).eval().requires_grad_(False)
    state = model.state_dict()
    fast.load_state_dict({name: state[name] for name in fast.state_dict()})
    inputs = batch(answers, ragged())
    rows = real(inputs)
    assert float((model(inputs) - fast(inputs))[rows].abs().max()) > 1e-3
    for slot in model.decoder.stack.beside.values():
        slot.warm_up_gate.zero_()
    close(model(inputs)[rows], fast(inputs)[rows], 1e-6)
    assert all(
        slot.warm_up_gate.tolist() == [0.0]
        for slot in build(SYSTEM.at("nano")).decoder.stack.beside.values()
    )


@lawful
def test_permuting_slow_tokens_leaves_logits_unchanged():
    """The memory alone is shuffled: the fast tokens stay what they were."""
    model, inputs = fresh(clip()).requires_grad_(False), batch(clip(), [SAMPLE])
    expected = model(inputs)
    stream = model.stream(inputs)
    order = torch.randperm(FRAMES * PATCHES, generator=torch.Generator().manual_seed(3))
    memory = stream.memory.with_tokens(stream.memory.tokens[:, order])
    got = model.scores(model.decoder(replace(stream, memory=memory)))
    close(got, expected, 1e-5)
    other = stream.memory.with_tokens(stream.memory.tokens.roll(1, 0) + 1.0)
    changed = model.scores(model.decoder(replace(stream, memory=other)))
    assert float((changed - expected).abs().max()) > 1e-3


@lawful
def test_a_hybrid_layer_of_qwen2_7b_adds_its_parameters():
    stack = on_meta(SYSTEM.at("paper")).decoder.stack
    assert [int(layer) for layer in stack.beside] == [0, 8, 16, 24]
    for slot in stack.beside.values():
        assert sum(p.numel() for p in slot.parameters()) == 3_674_626


@lawful
def test_eight_times_the_frames_cost_the_decoder_two_percent():
    """16 frames by self-attention alone against 128 with the slow path, 64 text tokens."""
    answers = SYSTEM.at("paper")
    encoder = replace(answers.encoder, frames=16)
    few = replace(
        answers,
        views=Fixed(16 * 252, 252),
        encoder=encoder,
        compression=PooledTokens(frames=16, kept_frames=16, side=None),
        fusion=InSequence(),
    )
    baseline = cost(few, text=64).part_flops("decoder")
    assert cost(answers, text=64).part_flops("decoder") / baseline - 1 == pytest.approx(
        0.02, abs=0.002
    )
    everything = replace(answers, compression=replace(answers.compression, kept_frames=128))
    assert cost(everything, text=64).part_flops("decoder") / baseline > 8


def by_hand(model, slot, inside, read, table, memory):
    """read + tanh(u . read + b) tanh(w) attention(q, [k; v] = W n(m)), text rows only."""
    k, v = slot.keys.kv_proj(inside.norm(memory.tokens)).chunk(2, -1)
    heads = model.answers.host.kv_heads
    permitted = dense_mask(model.decoder.stack.memory_rule, table, memory.table)
    slow = attend_slowly(inside.queries, split_heads(k, heads), split_heads(v, heads), permitted)
    gate = (read @ slot.dynamic_gate.weight.T + slot.dynamic_gate.bias).tanh()
    gate = gate * slot.warm_up_gate.tanh()
    text = (table.modality == 0).unsqueeze(-1)
    return torch.where(text, read + gate * merge_heads(slow), read)


@lawful
def test_the_slow_read_is_its_equation_in_values_and_gradients():
    model, inputs = fresh(clip()), batch(clip(), ragged())
    seen: list[tuple] = []
    slot = model.decoder.stack.beside["2"]
    slot.register_forward_hook(lambda module, given, out: seen.append((*given, out)))
    model(inputs)
    ((inside, read, out),) = seen
    expected = by_hand(model, slot, inside, read, inside.reading.table, inside.reading.memory)
    rows = inside.reading.table.valid
    close(out[rows], expected[rows], 1e-5)
    weights = list(slot.parameters())
    made, wanted = (
        torch.autograd.grad(values[rows].square().sum(), weights, retain_graph=True)
        for values in (out, expected)
    )
    for one, other in zip(made, wanted, strict=True):
        close(one, other, 1e-4)
    assert bool((inside.reading.table.modality > 0).any())


@lawful
def test_fast_rows_read_nothing_besides():
    """Other slow tokens change what text reads, and no fast row of the same layer."""
    answers = replace(clip(), fusion=SlowFast(every=7))
    model, inputs = fresh(answers).requires_grad_(False), batch(answers, [SAMPLE])
    outs: list[torch.Tensor] = []
    model.decoder.stack.beside["0"].register_forward_hook(lambda m, given, out: outs.append(out))
    stream = model.stream(inputs)
    for shift in (0.0, 1.0):
        memory = stream.memory.with_tokens(stream.memory.tokens + shift * torch.randn(29))
        model.decoder(replace(stream, memory=memory))
    changed = (outs[0] != outs[1]).any(-1)[0]
    # Rows are stored media first.
    fast = geometry(answers, (1, 1)).placeholders
    assert not bool(changed[:fast].any()) and bool(changed[fast:].all())


@lawful
def test_text_alone_reads_nothing():
    model = fresh(clip()).requires_grad_(False)
    inputs = batch(clip(), [(said(6, 1),)])
    closed = build(clip()).eval().requires_grad_(False)
    closed.load_state_dict(model.state_dict())
    for slot in closed.decoder.stack.beside.values():
        slot.warm_up_gate.zero_()
    assert torch.equal(model(inputs), closed(inputs))
