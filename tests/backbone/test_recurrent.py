"""A decoder of state-space mixers: padding, packing, caches, and transformers' own mixer."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from tests.layers.mamba import CASES, disturb
from tests.tiny import Text, batch, close, close_gradients, cut, fresh, gradients, real, said
from torch import Tensor

from chiasm.assemble import build
from chiasm.backbone import Cache, GrowingCache, StaticCache
from chiasm.backbone.lines import line_up
from chiasm.decoding import generate
from chiasm.fusion import InSequence, VisualPath
from chiasm.layers import Mamba2
from chiasm.model import Model
from chiasm.spec import Answers, Host, registered
from chiasm.stream import Inputs, Role, TokenTable
from chiasm.visibility import Everything, Sight

HOST = Host(
    vocabulary=101,
    width=29,
    depth=3,
    heads=0,
    kv_heads=0,
    head_width=0,
    ff_width=0,
    max_positions=512,
    positions="none",
    mixer=CASES["two groups"],
)


def answers(**changed) -> Answers:
    return replace(registered()["text-only"].at("nano"), host=replace(HOST, **changed))


def model(**changed) -> Model:
    return fresh(answers(**changed)).requires_grad_(False)


def ragged() -> list[tuple[Text, ...]]:
    tag = Role.TAG
    return [(said(9, 1), said(1, 2, tag)), (said(1, 3),), (said(4, 4), said(1, 5, tag))]


def segment(number: int, seed: int, question: int, answer: int) -> tuple[Text, ...]:
    return (
        said(question, seed, segment=number),
        said(1, seed + 1, Role.TAG, segment=number),
        said(answer, seed + 2, Role.ASSISTANT, segment=number),
    )


PREFIXES = (said(7, 1), said(2, 2), said(3, 3))
SEGMENTS = (
    (segment(1, 10, 3, 2), segment(2, 20, 1, 4), segment(3, 30, 5, 1)),
    (segment(1, 40, 2, 3),),
    (),
)


def packed() -> list[tuple[Text, ...]]:
    return [
        (prefix, *(piece for group in groups for piece in group))
        for prefix, groups in zip(PREFIXES, SEGMENTS, strict=True)
    ]


def in_steps(made: Model, inputs: Inputs, cache: Cache, ends: Sequence[int]) -> Tensor:
    starts = [0, *ends[:-1]]
    return torch.cat(
        [
            made(cut(inputs, slice(start, end), media=False), cache=cache)
            for start, end in zip(starts, ends, strict=True)
        ],
        1,
    )


def test_a_layer_is_its_equation() -> None:
    """x + mixer(norm(x)), the mixer that which transformers' own is compared with; no MLP."""
    made, inputs = model(depth=1), batch(answers(), [(said(13, 1),)])
    block = made.decoder.stack.layers[0]
    single = Mamba2(HOST.width, HOST.mixer)
    single.load_state_dict(block.mixer.state_dict())
    x = made.decoder.embed(inputs.ids)
    expected = (
        x + single(torch.nn.functional.rms_norm(x, (29,), block.input_layernorm.weight, 1e-5))[0]
    )
    close(made.decoder.stack(made.stream(inputs)), expected, 1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_batched_equals_single(side: str) -> None:
    made, together = model(), batch(answers(), ragged(), side=side)
    logits = made(together)
    for number, sample in enumerate(ragged()):
        close(logits[number][real(together)[number]], made(batch(answers(), [sample]))[0], 1e-5)


@pytest.mark.parametrize("pieces", [(1, 2, 3), (5,), (8, 9), (4, 9)])
@pytest.mark.parametrize("kind", [GrowingCache, lambda: StaticCache(64)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_cached_equals_uncached(side: str, kind, pieces: tuple[int, ...]) -> None:
    made, inputs = model(), batch(answers(), ragged(), side=side)
    got = in_steps(made, inputs, kind(), [*pieces, inputs.ids.shape[1]])
    close(got[real(inputs)], made(inputs)[real(inputs)], 1e-5)


def test_packed_equals_apart_in_loss_and_gradients() -> None:
    apart = [
        (prefix, *(replace(piece, segment=0) for piece in group))
        for prefix, groups in zip(PREFIXES, SEGMENTS, strict=True)
        for group in groups
    ]
    one, other = fresh(answers()), fresh(answers())
    together, single = one.loss(batch(answers(), packed())), other.loss(batch(answers(), apart))
    close(together, single, 1e-5)
    together.backward()
    single.backward()
    close_gradients(gradients(one), gradients(other), 1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_packed_rows_in_pieces_equal_one_pass(step: int, side: str) -> None:
    """Pieces end in the prefix, between segments and inside them; later ones begin segments."""
    made, inputs = model(), batch(answers(), packed(), side=side)
    rows = inputs.ids.shape[1]
    got = in_steps(made, inputs, GrowingCache(), [*range(step, rows, step), rows])
    close(got[real(inputs)], made(inputs)[real(inputs)], 1e-5)


def test_rows_may_be_stored_in_any_order() -> None:
    made, inputs = model(), batch(answers(), packed())
    order = torch.randperm(inputs.ids.shape[1])
    index = order.expand_as(inputs.ids)
    mixed = replace(
        inputs,
        ids=inputs.ids[:, order],
        table=inputs.table.rows(index),
        source=inputs.source[:, order],
    )
    close(made(mixed)[real(mixed)], made(inputs)[:, order][real(mixed)], 1e-5)


def test_generation_continues_every_segment_as_it_would_alone() -> None:
    made = model()
    groups = [segment(n, 10 * n, n + 1, 1)[:2] for n in (1, 2, 3)]
    together = batch(answers(), [(PREFIXES[0], *(piece for g in groups for piece in g))])
    ends = torch.tensor([[9, 13, 18]])
    assert together.table.segment[0, ends[0]].tolist() == [1, 2, 3]
    got = generate(made, together, ends, max_new=5)
    for number, group in enumerate(groups):
        alone = batch(answers(), [(PREFIXES[0], *(replace(p, segment=0) for p in group))])
        assert torch.equal(generate(made, alone, max_new=5).ids[0, 0], got.ids[0, number])


def test_the_cache_is_as_large_after_a_long_prompt_as_after_a_short_one() -> None:
    made, sizes = model(), []
    for rows in (2, 3, 257):
        for cache in (GrowingCache(), StaticCache(512)):
            made(batch(answers(), [(said(rows, 1),)]), cache=cache)
            sizes.append(cache.bytes)
    assert set(sizes) == {HOST.depth * HOST.mixer.held * 4}


def test_a_later_row_changes_no_earlier_one() -> None:
    made, inputs = model(), batch(answers(), [(said(13, 1),)])
    other = replace(inputs, ids=torch.cat([inputs.ids[:, :8], inputs.ids[:, 8:] + 1], 1) % 101)
    before, after = made(inputs), made(other)
    close(after[:, :8], before[:, :8], 1e-6)
    assert bool(((after - before)[:, 8:].abs().amax(-1) > 1e-4).all())


def test_lines_of_a_packed_table() -> None:
    """A prefix of two rows, segment 2 before segment 1, one row of padding."""
    table = TokenTable.text(torch.tensor([[True, True, True, True, False, True]]))
    table = replace(table, segment=torch.tensor([[0, 0, 2, 2, 3, 1]]))
    lines = line_up(table)
    assert lines.segments == 2
    assert lines.shared.tolist() == [[True, True]]
    assert lines.own.tolist() == [[[True, False], [True, True]]]
    first, rest = lines.arrange(torch.arange(6.0).view(1, 6, 1))
    assert first.flatten().tolist() == [0, 1]
    assert rest.squeeze(-1)[0, 0] == 5 and rest.squeeze(-1)[1].tolist() == [2, 3]
    restored = lines.restore(first, rest)[0, :, 0]
    assert restored[[0, 1, 2, 3, 5]].tolist() == [0, 1, 2, 3, 5]


def test_rows_in_reading_order_are_not_moved() -> None:
    valid = torch.tensor([[True, True, True], [True, False, False]])
    lines = line_up(TokenTable.text(valid))
    assert lines.index is None and torch.equal(lines.shared, valid)
    assert line_up(TokenTable.text(valid.flip(1))).index is not None


def test_every_parameter_learns() -> None:
    made, inputs = build(answers()).train(), batch(answers(), packed())
    disturb(made)
    made.loss(inputs).backward()
    assert all(bool((p.grad != 0).any()) for p in made.parameters())


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("looks ahead", dict(visibility=Sight(sequence=Everything(), memory=Everything()))),
        ("leaves rows out", dict(fusion=InSequence(VisualPath.FFN))),
    ],
)
def test_what_a_recurrence_cannot_do_is_refused(what: str, changed: dict) -> None:
    with pytest.raises(ValueError, match=what):
        build(replace(answers(), **changed))


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("no attention, yet 4 heads", dict(heads=4, kv_heads=2)),
        ("windows", dict(windows=(3, None, None))),
        ("not rotary", dict(positions="rotary")),
    ],
)
def test_a_host_with_a_mixer_has_no_sizes_of_attention(what: str, changed: dict) -> None:
    with pytest.raises(ValueError, match=what):
        replace(HOST, **changed)
