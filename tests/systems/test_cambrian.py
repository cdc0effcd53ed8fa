"""The card of 052 cambrian, and its reads against a slow loop over queries."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.tiny import close

from chiasm.assemble import build
from chiasm.connectors import WindowedQueries
from chiasm.connectors.windowed_queries import WindowedLayer
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.errors import Misuse
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "cambrian"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

READS = WindowedQueries(windows=(1, 3, 2), shares=(5, 7, 3), inner=12, heads=3, depth=2)
OUT, GRID = 17, (2, 4)


def drawn(config: WindowedQueries = READS) -> torch.nn.Module:
    torch.manual_seed(0)
    connector = config.build(15, OUT)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return connector.requires_grad_(False)


def features(seed: int = 1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    taps = tuple(
        torch.randn(2, 8 * window**2, width, generator=generator)
        for window, width in ((1, 5), (3, 7), (2, 3))
    )
    return Features(torch.zeros(2, 8, 15), GRID, None, taps)


def rows(connector: torch.nn.Module, given: Features) -> torch.Tensor:
    """The rows of places, `[image, row, column, width]`, without the ends of lines."""
    return connector.connect(given).embeddings.unflatten(1, (2, 5))[:, :, :4]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_576_queries_and_24_ends_of_lines():
    plan = geometry(SYSTEM.at("paper"), (480, 640))
    assert plan.grids == ((24, 24),) and plan.placeholders == 576 + 24


@lawful
def test_parameters_of_three_layers_and_of_one_within_the_host():
    answers = SYSTEM.at("paper")
    layers = on_meta(answers).connector.layers
    held = sum(p.numel() for p in layers.parameters())
    assert held == 47_296_512 == pytest.approx(47.3e6, rel=1e-3)
    with torch.device("meta"):
        inside = WindowedLayer(answers.connector, answers.host.width)
    assert sum(p.numel() for p in inside.parameters()) == pytest.approx(22.06e6, rel=1e-3)


@lawful
def test_it_is_a_loop_over_queries():
    """The equation, place by place, head by head."""
    connector, given = drawn(), features()
    maps = [make(tap) for make, tap in zip(connector.maps, given.taps, strict=True)]
    got = rows(connector, given)
    for y in range(2):
        for x in range(4):
            query = connector.start.expand(2, -1)
            for layer in connector.layers:
                seen, places = [], iter(layer.places)
                for at, window in enumerate(READS.windows):
                    cells = maps[at].unflatten(1, (2 * window, 4 * window))
                    own = cells[:, y * window : (y + 1) * window, x * window : (x + 1) * window]
                    own = own.flatten(1, 2)
                    seen.append(own + next(places) if window > 1 else own)
                context = layer.context(maps[0].mean(1))
                inner = layer.enter(torch.cat([query, context], -1))
                q = layer.query(inner)
                k = torch.cat([make(s) for make, s in zip(layer.keys, seen, strict=True)], 1)
                v = torch.cat([make(s) for make, s in zip(layer.values, seen, strict=True)], 1)
                heads = []
                for head in range(3):
                    at = slice(4 * head, 4 * head + 4)
                    scores = (k[..., at] @ q[:, at].unsqueeze(-1)).squeeze(-1) / 2.0
                    heads.append((scores.softmax(-1).unsqueeze(-1) * v[..., at]).sum(1))
                inner = layer.norm(inner + layer.output(torch.cat(heads, -1)))
                query = query + layer.think(inner)
            close(got[:, y, x], connector.project(query), 1e-5)


@lawful
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_token_of_a_further_map_reaches_one_query(at):
    """Of the first map, all of them: through the mean."""
    connector, given = drawn(), features()
    window = READS.windows[at]
    taps = [tap.clone() for tap in given.taps]
    y, x = 1 * window + window - 1, 2 * window
    taps[at][:, y * 4 * window + x] += 1.0
    apart = rows(connector, replace(given, taps=tuple(taps))) - rows(connector, given)
    moved = apart.abs().amax(-1) > 1e-6
    assert bool(moved[:, 1, 2].all())
    assert int(moved.sum()) == (2 if at else 2 * 8)


@lawful
def test_the_same_row_ends_every_line():
    connector = drawn()
    lines = connector.connect(features()).embeddings.unflatten(1, (2, 5))
    assert torch.equal(lines[:, :, 4], connector.line_end.expand(2, 2, -1))


@lawful
def test_what_does_not_fit_is_refused():
    with pytest.raises(Misuse, match="2 windows and 3 shares"):
        replace(READS, windows=(1, 3))
    with pytest.raises(Misuse, match="do not divide features of width 16"):
        READS.build(16, OUT)
    given = features()
    with pytest.raises(Misuse, match=r"are not windows \(1, 3, 2\)"):
        drawn().connect(replace(given, taps=given.taps[::-1]))
    valid = torch.zeros(2, 8, dtype=torch.bool)
    with pytest.raises(Misuse, match="one size"):
        drawn().connect(replace(given, valid=valid))


@lawful
def test_it_is_billed_as_it_runs():
    answers = SYSTEM.at("nano")
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == pytest.approx(
        2 * operator_macs(lambda: model(inputs)), rel=0.01
    )
