"""Regions at scales of their own: by loops, by the paper's checks, beside padding."""

import pytest
import torch
from tests.tiny import close

from chiasm.compression import RegionScales
from chiasm.compression.region_scales import assigned, balance
from chiasm.spec.reading import Losses
from chiasm.stream import Features

pytestmark = pytest.mark.evidence(slug="focusllava", grade="lawful")
WIDTH = 7


def features(rows, columns, images=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Features(torch.randn(images, rows * columns, WIDTH, generator=draw), (rows, columns))


def module(*areas_at, sides=(1, 2, 4), seed=0):
    torch.manual_seed(seed)
    made = RegionScales(sides=sides, areas_at=areas_at, hidden=11).build(WIDTH).eval()
    with torch.no_grad():
        made.choice.weight *= 5
    return made


def by_loops(made, given):
    """Area by area: pool, gate, choose, scale."""
    config = made.config
    count, side = config.regions, config.sides[-1]
    for image in given.tokens.unflatten(1, given.grid):
        areas = [
            image[y * side : (y + 1) * side, x * side : (x + 1) * side]
            for y in range(count)
            for x in range(count)
        ]
        logits = []
        for area in areas:
            shown = torch.cat([area.mean((0, 1)), area.amax((0, 1))])
            logits.append(made.choice(torch.nn.functional.gelu(made.inner(shown))))
        logits = torch.stack(logits)
        chosen = assigned(logits.unsqueeze(0), config.areas_at)[0].tolist()
        tokens = []
        for area, own, which in zip(areas, logits, chosen, strict=True):
            pooled, step = config.sides[which], side // config.sides[which]
            probability = own.softmax(-1)[which]
            tokens += [
                probability
                * area[y * step : (y + 1) * step, x * step : (x + 1) * step].amax((0, 1))
                for y in range(pooled)
                for x in range(pooled)
            ]
        yield torch.stack(tokens), chosen


def test_tokens_are_their_equation():
    made, given = module(3, 4, 2), features(12, 12)
    got = made.keep(given)
    for at, (tokens, chosen) in enumerate(by_loops(made, given)):
        close(got.tokens[at], tokens, 1e-6)
        assert len(tokens) == sum((1, 4, 16)[which] for which in chosen) == 3 + 16 + 32
    assert got.valid is None and made.config.count(144) == 51 == got.tokens.shape[1]


def test_39_percent_of_576():
    config = RegionScales(sides=(1, 2, 4), areas_at=(13, 13, 10), hidden=3)
    assert config.count(576) == 225 and config.count(0) == 0
    assert pytest.approx(0.39, abs=0.001) == 225 / 576


def test_the_finest_scale_alone_is_the_input_times_its_probability():
    made, given = module(0, 0, 9), features(12, 12)
    got = made.keep(given)
    areas = made.areas(given)
    close(areas[0, 4, 5], given.tokens[0].unflatten(0, (12, 12))[5, 5], 0)
    shown = torch.cat([areas.mean(2), areas.amax(2)], -1)
    probability = made.choice(torch.nn.functional.gelu(made.inner(shown))).softmax(-1)[..., 2]
    close(got.tokens.unflatten(1, (9, 16)), areas * probability[..., None, None], 1e-6)


def test_the_gate_learns_by_the_probability_alone():
    """Its gradient is not zero, and would be without the factor."""
    made, given = module(3, 4, 2), features(12, 12)
    made.keep(given).tokens.square().sum().backward()
    for parameter in made.parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any())
    areas = made.areas(given)
    tokens = made._at_sides(areas)[made._mask(torch.zeros(2, 9, dtype=torch.long))]
    assert not tokens.requires_grad


def test_balance_is_1_where_scales_are_used_alike_and_3_where_one_is():
    even = torch.full((1, 3, 3), 0.1) + 0.7 * torch.eye(3)
    assert float(balance(even)) == pytest.approx(1.0)
    collapsed = torch.tensor([1.0, 0.0, 0.0]).expand(2, 5, 3)
    assert float(balance(collapsed)) == pytest.approx(3.0)


def test_the_balance_loss_is_recorded_and_teaches_the_gate():
    made, given, losses = module(3, 4, 2), features(12, 12), Losses()
    made.keep(given, losses)
    assert set(losses.named) == {"scales"}
    loss = losses.named["scales"]
    assert 0.01 * 0.9 <= float(loss.detach()) <= 0.03
    loss.backward()
    assert bool((made.choice.weight.grad != 0).any())


def test_so_many_areas_a_scale_and_those_that_want_it_most():
    logits = torch.randn(3, 11, 3, generator=torch.Generator().manual_seed(2))
    chosen = assigned(logits, (4, 5, 2))
    for image in range(3):
        counts = torch.bincount(chosen[image], minlength=3).tolist()
        assert counts == [4, 5, 2]
        finest = logits[image, :, 2] - logits[image, :, :2].amax(-1)
        assert set(finest.topk(2).indices.tolist()) == set(
            (chosen[image] == 2).nonzero().flatten().tolist()
        )


def test_free_choices_that_fit_are_kept():
    """Where the gate itself wants just so many areas a scale, it gets them."""
    wanted = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 0])
    logits = 9.0 * torch.nn.functional.one_hot(wanted, 3).float().unsqueeze(0)
    assert torch.equal(assigned(logits, (4, 3, 2))[0], wanted)


def test_noise_is_drawn_in_training_only_from_the_cpu_generator():
    made, given = module(3, 4, 2), features(12, 12)
    assert torch.equal(made.keep(given).tokens, made.keep(given).tokens)
    made.train()
    found = []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        found.append(made.keep(given).tokens)
    assert torch.equal(found[0], found[1])
    assert any(not torch.equal(found[0], other) for other in found[2:])


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (1, 7), (13, 11)])
def test_any_grid_becomes_as_many_tokens(rows, columns):
    made = module(3, 4, 2)
    assert made.keep(features(rows, columns)).tokens.shape == (2, 51, WIDTH)


def test_padding_counts_for_nothing():
    made, small, large = module(3, 4, 2), features(5, 8, 1), features(12, 12, 1)
    padded = torch.full((2, 12, 12, WIDTH), 99.0)
    valid = torch.zeros(2, 12, 12, dtype=torch.bool)
    for at, one in enumerate((small, large)):
        rows, columns = one.grid
        padded[at, :rows, :columns] = one.tokens[0].unflatten(0, one.grid)
        valid[at, :rows, :columns] = True
    together = made.keep(Features(padded.flatten(1, 2), (12, 12), valid.flatten(1)))
    for at, one in enumerate((small, large)):
        close(together.tokens[at], made.keep(one).tokens[0], 1e-6)


def test_flat_areas_are_told_from_textured_ones():
    """A gate taught on the difference keeps what it can of texture: flat areas become one token."""
    torch.manual_seed(0)
    made = RegionScales(sides=(1, 2, 4), areas_at=(6, 0, 3), hidden=16).build(WIDTH)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    draw = torch.Generator().manual_seed(0)

    def pictures(count):
        flat = torch.randn(count, 9, 1, WIDTH, generator=draw).expand(-1, -1, 16, -1).clone()
        where = torch.rand(count, 9, generator=draw).argsort(-1) < 3
        flat[where] = 2 * torch.randn(count * 3, 16, WIDTH, generator=draw)
        maps = flat.unflatten(2, (4, 4)).unflatten(1, (3, 3)).transpose(2, 3)
        return Features(maps.reshape(count, 144, WIDTH), (12, 12)), where

    for _ in range(60):
        given, where = pictures(32)
        areas = made.areas(given)
        shown = torch.cat([areas.mean(2), areas.amax(2)], -1)
        logits = made.choice(torch.nn.functional.gelu(made.inner(shown)))
        torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), 2 * where.flatten().long()
        ).backward()
        optimiser.step()
        optimiser.zero_grad()
    given, where = pictures(64)
    made.eval()
    areas = made.areas(given)
    shown = torch.cat([areas.mean(2), areas.amax(2)], -1)
    chosen = assigned(made.choice(torch.nn.functional.gelu(made.inner(shown))), (6, 0, 3))
    assert float(((chosen == 2) == where).float().mean()) > 0.95


@pytest.mark.parametrize(
    ("sides", "areas_at"), [((1, 2), (2, 1)), ((2, 1), (2, 2)), ((1, 2, 4), (2, 2))]
)
def test_sizes_that_fit_nothing_are_refused(sides, areas_at):
    with pytest.raises(ValueError, match="areas"):
        RegionScales(sides=sides, areas_at=areas_at, hidden=3)


def test_the_bill_is_the_gate():
    config = RegionScales(sides=(1, 2, 4), areas_at=(3, 4, 2), hidden=11)
    assert [line.macs for line in config.work(144, WIDTH)] == [9 * 14 * 11, 9 * 11 * 3]
