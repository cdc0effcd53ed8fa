"""The card of 029 infimm-hd."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, host_of, ragged, reading_of, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.spec import geometry
from chiasm.stream import Memory
from chiasm.visibility import PrecedingItem, materialise

SLUG = "infimm-hd"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_at_the_start_it_is_its_host_bit_for_bit():
    answers = tiny(SLUG)
    model, inputs = build(answers).eval(), batch(answers, ragged())
    assert inputs.images is not None
    assert torch.equal(model(inputs), host_of(model)(inputs))


@lawful
def test_gates_learn_first():
    """At the first step the weights behind them have no gradient."""
    model, inputs = build(tiny(SLUG)), batch(tiny(SLUG), ragged())
    model.loss(inputs).backward()
    for block in model.decoder.stack.before.values():
        gates = {"attention_gate", "feed_forward_gate"}
        for name, parameter in block.named_parameters():
            grad = parameter.grad
            assert (grad is not None and bool(grad.any())) is (name in gates), name


@lawful
def test_blocks_stand_before_every_fourth_layer_and_gates_are_vectors():
    model = on_meta(SYSTEM.at("paper"))
    blocks = model.decoder.stack.before
    assert sorted(map(int, blocks)) == list(range(3, 40, 4))
    w, inner, read = 5120, 768, 5120
    own = 2 * w + w * inner + read * 2 * inner + inner * w + 2 * w + 2 * w * w + 2 * w + 11 * read
    for block in blocks.values():
        assert block.attention_gate.shape == block.feed_forward_gate.shape == (w,)
        assert sum(p.numel() for p in block.parameters()) == own
    assert count(model, "encoder") == pytest.approx(4.4e9, rel=0.02)


@lawful
def test_the_sequence_is_as_long_for_any_number_of_windows():
    """The decoder's own rows and their products do not grow; what is read does."""
    answers = SYSTEM.at("paper")
    sizes = ((400, 400), (448, 896), (1344, 1344))
    plans = [geometry(answers, size) for size in sizes]
    assert [len(plan.views) for plan in plans] == [1, 3, 10]
    assert [plan.tokens for plan in plans] == [256, 768, 2560]
    assert {plan.placeholders for plan in plans} == {0}
    bills = [cost(answers, text=64, image_size=size) for size in sizes]
    readers = {"gated key and value", "gated read"}
    rows = [
        sum(x.dense for x in bill.prefill if x.part == "decoder" and x.name not in readers)
        for bill in bills
    ]
    assert rows[0] == rows[1] == rows[2]


@lawful
def test_a_windows_vector_tells_where_it_is():
    answers = tiny(SLUG)
    model = fresh(answers).requires_grad_(False)
    sample = (said(2, 1), Picture(1, 24, 80), said(3, 2))
    inputs = batch(answers, [sample])
    assert inputs.memory is not None
    assert len(set(inputs.memory.unit[0].tolist())) > 1
    block = model.decoder.stack.before["0"]
    hidden = torch.randn(1, 5, 29, generator=torch.Generator().manual_seed(0))
    tokens = torch.randn(1, inputs.memory.shape[1], 29, generator=torch.Generator().manual_seed(1))
    permission = materialise(PrecedingItem(), inputs.table, inputs.memory)

    def read(table) -> torch.Tensor:
        memory = Memory(tokens, table)
        reading = reading_of(
            inputs.table, memory=memory, source=inputs.source, permission=permission
        )
        return block.read(hidden, reading, permission)

    here, elsewhere = read(inputs.memory), read(replace(inputs.memory, unit=0 * inputs.memory.unit))
    assert float((here - elsewhere)[:, 2:].abs().max()) > 1e-3


@lawful
def test_an_earlier_image_is_not_read_directly_by_later_text():
    answers = tiny(SLUG)
    block = fresh(answers).requires_grad_(False).decoder.stack.before["0"]
    sample = (said(2, 1), Picture(1, 24, 40), said(3, 2), Picture(2, 24, 40), said(4, 3))
    inputs = batch(answers, [sample])
    generator = torch.Generator().manual_seed(0)
    count_ = geometry(answers, (24, 40)).tokens
    hidden = torch.randn(1, 9, 29, generator=generator)
    tokens = torch.randn(1, 2 * count_, 29, generator=generator)
    other = tokens.clone()
    other[:, :count_] += 1.0
    permission = materialise(PrecedingItem(), inputs.table, inputs.memory)
    reads = [
        block.read(
            hidden,
            reading_of(
                inputs.table,
                memory=Memory(some, inputs.memory),
                source=inputs.source,
                permission=permission,
            ),
            permission,
        )
        for some in (tokens, other)
    ]
    assert torch.equal(reads[0][:, 5:], reads[1][:, 5:])
    assert not bool((reads[0][:, 2:5] == reads[1][:, 2:5]).all(-1).any())
    assert bool((reads[0][:, :2] == 0).all())
