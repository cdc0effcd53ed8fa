"""The card of 055 evlm: levels of the encoder, learned rows, mixtures within gated blocks."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import (
    Picture,
    batch,
    close,
    cut,
    fresh,
    host_of,
    ragged,
    reading_of,
    real,
    said,
    tiny,
)

from chiasm.assemble import build
from chiasm.backbone import GrowingCache
from chiasm.cost.parameters import count_parameters
from chiasm.experts import FineGrained
from chiasm.layers import normed_feed_forward
from chiasm.spec import geometry
from chiasm.spec.reading import Losses
from chiasm.stream import Memory, TokenTable
from chiasm.visibility import PrecedingItem, dense_mask, materialise

SLUG = "evlm"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PATCHES, ROWS, WIDTH, LEVELS = 15, 4, 29, 2
SAMPLE = (said(2, 1), Picture(1, 30, 50), said(3, 2), Picture(2, 9, 9), said(4, 3))


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_at_the_start_it_is_its_host_beside_learned_rows():
    """Bit for bit: gates are zero, and an image's rows are the same whatever it shows."""
    model, inputs = build(tiny(SLUG)).eval(), batch(tiny(SLUG), ragged())
    host, rows = host_of(model), model.decoder.stack.before["0"].rows
    stream = host.stream(inputs)
    embeddings = stream.embeddings.clone()
    for sample, held in enumerate((inputs.source >= 0).tolist()):
        places = [place for place, own in enumerate(held) if own]
        assert len(places) % ROWS == 0
        for number, place in enumerate(places):
            embeddings[sample, place] = rows[number % ROWS]
    expected = host.scores(host.decoder(replace(stream, embeddings=embeddings)))
    assert torch.equal(model(inputs)[real(inputs)], expected[real(inputs)])
    other = replace(inputs, images=inputs.images.flip(0))
    assert torch.equal(model(other), model(inputs))


@lawful
def test_rows_are_told_apart_in_cached_steps_too():
    """The first call ends amid the rows of the first image, the second amid the other's."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    inputs = batch(tiny(SLUG), [SAMPLE], teach=False)
    whole, cache = model(inputs), GrowingCache()
    for start, stop in ((0, 4), (4, 11), (11, 17)):
        part = cut(inputs, slice(start, stop), media=True)
        close(model(part, cache=cache), whole[:, start:stop], 1e-4)


def mixture(width: int, hidden: int, *, active: int):
    config = FineGrained(copies=3, parts=2, active=active, hidden=hidden)
    made = config.build(width).requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for parameter in made.parameters():
        parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return made


def text_rows(count_: int, losses: Losses | None = None):
    return reading_of(TokenTable.text(torch.ones(1, count_, dtype=torch.bool)), losses=losses)


@lawful
def test_a_row_passes_its_best_experts_by_their_shares():
    made = mixture(7, 5, active=2)
    x, losses = torch.randn(1, 6, 7, generator=torch.Generator().manual_seed(1)), Losses()
    got = made(x, text_rows(6, losses))
    for row, y in zip(made.norm(x)[0], got[0], strict=True):
        chances = (made.router.gate.weight @ row).softmax(0)
        best = chances.topk(2).indices.tolist()
        routed = sum(
            chances[e]
            / chances[best].sum()
            * (
                torch.nn.functional.gelu(row @ made.routed.up_proj.weight[e])
                @ made.routed.down_proj.weight[e]
            )
            for e in best
        )
        close(y, 2 * routed + made.shared(row), 1e-5)
    assert set(losses.named) == {"balance"}


@lawful
def test_a_copied_mixture_is_the_dense_feed_forward():
    """With all experts at equal gates; and with two chosen of equal experts, by any router."""
    generator = torch.Generator().manual_seed(2)
    dense = normed_feed_forward(6, 4).requires_grad_(False)
    for parameter in dense.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(1, 5, 6, generator=generator)
    everyone = mixture(6, 12, active=6)
    everyone.copy_from(dense)
    everyone.router.gate.weight.zero_()
    close(everyone(x, text_rows(5)), dense(x), 1e-5)
    dense[1].weight[12:] = dense[1].weight[:12]
    dense[3].weight[:, 12:] = dense[3].weight[:, :12]
    few = mixture(6, 12, active=2)
    few.copy_from(dense)
    close(few(x, text_rows(5)), dense(x), 1e-5)
    few.router.gate.weight.zero_()
    few.routed.up_proj.weight[1:] += 1.0
    assert float((few(x, text_rows(5)) - dense(x)).abs().max()) > 1e-3
    with pytest.raises(ValueError, match="24 hidden units is not cut into 2 parts of 5"):
        mixture(6, 5, active=2).copy_from(dense)


def read(layer: str, tokens: torch.Tensor, inputs) -> torch.Tensor:
    """What a layer's block reads of memory tokens, at every row."""
    block = fresh(tiny(SLUG)).requires_grad_(False).decoder.stack.before[layer]
    block = block.then if layer == "0" else block
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(*inputs.table.shape, WIDTH, generator=generator)
    permission = materialise(PrecedingItem(), inputs.table, inputs.memory)
    memory = Memory(tokens, inputs.memory)
    reading = reading_of(inputs.table, memory=memory, source=inputs.source, permission=permission)
    return block.read(hidden, reading, permission)


def memory_tokens() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(1, 2 * PATCHES, LEVELS * WIDTH, generator=generator)


@lawful
@pytest.mark.parametrize(("layer", "level"), [("0", 0), ("1", 0), ("2", 1)])
def test_a_level_reaches_its_own_blocks_alone(layer, level):
    inputs = batch(tiny(SLUG), [SAMPLE])
    for changed in range(LEVELS):
        other = memory_tokens()
        other[..., changed * WIDTH : (changed + 1) * WIDTH] += 1.0
        moved = read(layer, memory_tokens(), inputs) != read(layer, other, inputs)
        assert bool(moved.any()) is (changed == level)


@lawful
def test_every_level_passes_its_own_norm_and_map():
    made = fresh(tiny(SLUG)).connector.requires_grad_(False)
    features = fresh(tiny(SLUG)).encoder(torch.randn(1, 3, 24, 40))
    got = made.connect(features).embeddings.chunk(LEVELS, -1)
    for number, (level, tap) in enumerate(zip(made.levels, features.taps, strict=True)):
        close(got[number], level(tap), 1e-6)


@lawful
def test_rows_see_their_own_image_only():
    inputs = batch(tiny(SLUG), [SAMPLE])
    other = memory_tokens()
    other[:, :PATCHES] += torch.randn(
        PATCHES, 2 * WIDTH, generator=torch.Generator().manual_seed(9)
    )
    one, two = read("2", memory_tokens(), inputs), read("2", other, inputs)
    first, second = slice(2, 2 + ROWS + 3), slice(2 + ROWS + 3, None)
    assert torch.equal(one[:, second], two[:, second])
    assert bool((one[:, first] != two[:, first]).any(-1).all())
    assert bool((one[:, :2] == 0).all())


@lawful
def test_reading_costs_in_proportion_to_the_frames():
    """Pairs, and keys and values, of one to four frames with two words after each."""
    answers = tiny(SLUG)
    pairs, made = [], []
    for frames in range(1, 5):
        sample = tuple(p for n in range(frames) for p in (Picture(n, 30, 50), said(2, n)))
        inputs = batch(answers, [sample])
        pairs.append(int(dense_mask(PrecedingItem(), inputs.table, inputs.memory).sum()))
        bill = answers.fusion.work(answers.host, 9, frames * PATCHES, LEVELS * WIDTH)
        made.append(sum(line.macs for line in bill if line.name == "gated key and value"))
    assert pairs == [frames * (ROWS + 2) * PATCHES for frames in range(1, 5)]
    assert made == [frames * made[0] for frames in range(1, 5)] and made[0]


@lawful
def test_the_published_sizes():
    answers = SYSTEM.at("paper")
    plan = geometry(answers, (480, 640))
    assert (plan.tokens, plan.placeholders) == (1024, 16)
    levels = [answers.fusion.level(layer, 40) for layer in range(40)]
    assert levels == [layer // 5 for layer in range(40)]
    model = on_meta(answers)
    assert count(model, "connector") == 8 * (2 * 1792 + (1792 + 1) * 5120)
    w, expert = 5120, 2 * 5120 * 5120
    read_ = 2 * w + 4 * w * 5120 + 2
    think = 2 * w + 16 * w + (16 + 1) * expert
    assert count(model, "fusion") == 40 * (read_ + think) + 16 * w
    passed = count_parameters(model)
    assert passed.active_visual == count(model) - 40 * 12 * expert
    assert passed.active == passed.active_visual - count(model, "encoder", "connector")
    dense = on_meta(replace(answers, fusion=replace(answers.fusion, think=None)))
    assert count(dense, "fusion") == 40 * (read_ + 2 * w + 2 * w * 4 * w) + 16 * w
    assert count(model, "decoder", "head") / 1e9 == pytest.approx(14.2, rel=0.02)
