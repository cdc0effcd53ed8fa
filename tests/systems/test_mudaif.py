"""The card of 227 mudaif, with the test that nothing taught leaks."""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, shared_model, tiny

from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.spec import geometry
from chiasm.stream import MEDIA, Role

SLUG = "mudaif"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PICTURE, QUESTION, TAG = Picture(1, 24, 40), said(4, 2), said(1, 3, Role.TAG)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def answered(seed: int) -> tuple:
    return (said(2, 9), PICTURE, QUESTION, TAG, said(3, seed, Role.ASSISTANT))


def states(*sample) -> tuple[torch.Tensor, torch.Tensor]:
    """What media rows are behind the first read, and the rows' order of all logits."""
    model, kept = shared_model(SLUG), []
    block = model.decoder.stack.before["0"].media
    handle = block.register_forward_hook(lambda _, given, out: kept.append((given[0], out)))
    logits = model(batch(tiny(SLUG), [sample]))
    handle.remove()
    return logits, kept


@lawful
def test_another_answer_alters_no_earlier_row():
    one, other = (states(*answered(seed))[0] for seed in (4, 5))
    assert torch.equal(one[:, :-3], other[:, :-3])
    assert not torch.equal(one[:, -2:], other[:, -2:])


@lawful
def test_no_gradient_reaches_an_earlier_row_from_a_later_answer():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [answered(4)])
    kept = []
    handle = model.decoder.embed_tokens.register_forward_hook(
        lambda _, given, out: kept.append(out.retain_grad() or out)
    )
    model(inputs)[:, -4].sum().backward()
    handle.remove()
    reached = kept[0].grad.abs().sum(-1)[0] > 0
    assert not bool(reached[-3:].any()) and bool(reached[-4])


@lawful
def test_a_patch_reads_the_question_and_without_one_stays_as_it_is():
    _, one = states(PICTURE, QUESTION, TAG)
    _, other = states(PICTURE, said(4, 7), TAG)
    assert not torch.equal(one[0][1], other[0][1])
    _, none = states(said(4, 2), PICTURE, TAG)
    assert torch.equal(none[0][0], none[0][1])


@lawful
def test_both_reads_equal_the_equations():
    model = shared_model(SLUG)
    inputs = batch(tiny(SLUG), [answered(4)])
    kept = []
    block = model.decoder.stack.before["0"]
    handle = block.register_forward_hook(lambda _, given, out: kept.append((*given, out)))
    model(inputs)
    handle.remove()
    hidden, reading, out = kept[0]
    table = reading.table
    media = MEDIA.select(table)[0]
    order, user = table.order[0], table.role[0] == int(Role.USER)
    sees = order[:, None] >= order[None]
    for read, own, allowed in (
        (block.words, ~media, media[None] & sees),
        (block.media, media, (~media & user)[None] & ~sees),
    ):
        q = split_heads(read.to_q(read.norm(hidden)), read.heads)
        k, v = read.keys(hidden)
        found = read.to_out(merge_heads(attend_slowly(q, k, v, allowed[None])))
        gate = read.gate(torch.cat([hidden, found], -1)).sigmoid()
        close(out[:, own], (hidden + gate * found)[:, own], 1e-5)


@lawful
def test_with_closed_gates_it_is_a_plain_decoder_of_patches():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), [answered(4)])
    with torch.no_grad():
        for block in model.decoder.stack.before.values():
            for read in (block.words, block.media):
                read.gate.weight.zero_()
                read.gate.bias.fill_(float("-inf"))
    closed = model(inputs)
    model.decoder.stack.before = torch.nn.ModuleDict()
    assert torch.equal(closed, model(inputs))


@lawful
def test_gates_start_nearly_closed_and_the_picture_gives_the_count():
    model = on_meta(SYSTEM.at("paper"))
    gates = [block.words.gate for block in model.decoder.stack.before.values()]
    assert len(gates) == 32 // 4
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 24 * 24
    read = 4 * 4096 * 4096 + 2 * 4096 * 4096 + 4096 + 4 * 4096
    assert count(model, "fusion") == 8 * 2 * read
    assert SYSTEM.at("nano").fusion.gate_bias == -4.0
