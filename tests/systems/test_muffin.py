"""The card of 131 muffin, and the multiway layers against a slow reference."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import close, fresh, tiny

from chiasm.assemble import build
from chiasm.connectors import MultiwayQueries
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "muffin"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PATCHES, QUERIES, WIDTH, HOST = 15, 7, 20, 29


def bridge():
    """A connector without its marks, every parameter of which matters."""
    return fresh(tiny(SLUG)).connector.each


def features(images: int = 2, seed: int = 0, *, padded: bool = False) -> Features:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(images, PATCHES, WIDTH, generator=generator)
    valid = torch.rand(images, PATCHES, generator=generator) > 0.4 if padded else None
    return Features(tokens, (3, 5), valid)


def slowly(made, seen: Features) -> torch.Tensor:
    """Row by row and head by head: each row passes the weights of its kind."""
    queries = made.queries + made.places
    images = []
    for tokens, image in enumerate(seen.tokens):
        rows = [*image, *queries]
        real = [True] * len(rows)
        if seen.valid is not None:
            real[:PATCHES] = seen.valid[tokens].tolist()
        for at, layer in enumerate(made.layers):
            kinds = [layer.image if row < PATCHES else layer.words for row in range(len(rows))]
            normed = [kind.norm(row) for kind, row in zip(kinds, rows, strict=True)]
            keys = [kind.key(row) for kind, row in zip(kinds, normed, strict=True)]
            values = [kind.value(row) for kind, row in zip(kinds, normed, strict=True)]
            behind = list(rows)
            for row in range(PATCHES if at == len(made.layers) - 1 else 0, len(rows)):
                kind, size = kinds[row], WIDTH // layer.heads
                asked, read = kind.query(normed[row]), []
                for head in (slice(start, start + size) for start in range(0, WIDTH, size)):
                    weight = torch.stack([asked[head] @ key[head] for key in keys]) * size**-0.5
                    weight = weight.masked_fill(~torch.tensor(real), float("-inf")).softmax(0)
                    value = torch.stack([value[head] for value in values])
                    read.append((weight.unsqueeze(1) * value).sum(0))
                x = rows[row] + kind.output(kind.norm_read(torch.cat(read)))
                hidden = kind.norm_hidden(F.gelu(kind.expand(kind.norm_think(x))))
                behind[row] = x + kind.contract(hidden)
            rows = behind
        images.append(made.projection(made.norm(torch.stack(rows[PATCHES:]))))
    return torch.stack(images)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("padded", [False, True])
def test_layers_are_as_row_by_row(padded):
    made, seen = bridge(), features(padded=padded)
    outputs, gradients = [], []
    for run in (lambda: made.connect(seen).embeddings, lambda: slowly(made, seen)):
        made.zero_grad()
        outputs.append(run())
        outputs[-1].square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in made.named_parameters()})
    close(outputs[0], outputs[1], 1e-5)
    for name, gradient in gradients[1].items():
        close(gradients[0][name], gradient, 1e-4)


@lawful
@given(st.integers(1, 40), st.integers(1, 40), st.integers(3, 9))
def test_as_many_tokens_as_queries_for_any_grid(rows, columns, latents):
    config = MultiwayQueries(latents=latents, depth=1, heads=2, ff_width=5)
    made = config.build(4, 6)
    tokens = made.connect(Features(torch.zeros(1, rows * columns, 4), (rows, columns))).embeddings
    assert tokens.shape == (1, config.count((rows, columns)), 6) == (1, latents, 6)


@lawful
def test_the_published_sizes():
    """BEiT-3-L without its table of words and without what its last layer does for patches."""
    answers = SYSTEM.at("paper")
    for size in ((448, 448), (1200, 300), (37, 911)):
        plan = geometry(answers, size)
        assert plan.grids == ((1, 1 + 28 * 28),) and plan.placeholders == 64 + 2
    model = on_meta(answers)
    kind = 4 * (1024 + 1) * 1024 + 2 * 4096 * 1024 + 4096 + 1024 + 2 * (3 * 1024 + 4096)
    unread = kind - 2 * (1024 + 1) * 1024 - 2 * 1024
    queries, projection, marks = 2 * 64 * 1024, (1024 + 1) * 5120, 2 * 5120
    own = 2 * 24 * kind - unread + 2 * 1024
    assert count(model, "connector") == own + queries + projection + marks
    assert own / 1e6 == pytest.approx(605, rel=0.02)
    assert count(model, "encoder") == (768 + 1) * 1024 + (28 * 28 + 1) * 1024 + 1024


@lawful
def test_rows_pass_the_weights_of_their_kind_alone():
    made, seen = bridge(), features()
    rows: dict[str, set[int]] = {"image": set(), "words": set()}
    for name, module in made.named_modules():
        kind = name.split(".")[2] if name.count(".") == 3 else None
        if kind is not None:
            module.register_forward_hook(
                lambda _, given, __, kind=kind: rows[kind].add(given[0].shape[1])
            )
    made.connect(seen)
    assert rows == {"image": {PATCHES}, "words": {QUERIES}}


@lawful
def test_queries_alone_leave_the_images_weights_without_gradient():
    """Where every patch is padding, queries read each other."""
    made, seen = bridge(), features()
    made.connect(Features(seen.tokens, seen.grid, torch.zeros(2, PATCHES).bool())).embeddings.sum(
        -1
    ).square().sum().backward()
    for name, parameter in made.layers.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        # A bias of all keys alike changes no softmax.
        assert moved is (".words." in name) or name.endswith("key.bias"), name


@lawful
def test_fewer_than_three_queries_are_refused():
    with pytest.raises(ValueError, match="between a beginning and an end"):
        MultiwayQueries(latents=2, depth=1, heads=1, ff_width=1)
    with pytest.raises(ValueError, match="do not split into 3 heads"):
        MultiwayQueries(latents=3, depth=1, heads=3, ff_width=1).build(20, 29)


@lawful
def test_order_matters_through_places_alone():
    made, seen = bridge().requires_grad_(False), features()
    order = torch.randperm(QUERIES, generator=torch.Generator().manual_seed(3))

    def turned() -> tuple[torch.Tensor, torch.Tensor]:
        before = made.connect(seen).embeddings
        made.queries.copy_(made.queries[order])
        return before[:, order], made.connect(seen).embeddings

    moved, anew = turned()
    assert float((moved - anew).abs().max()) > 1e-2
    made.places.zero_()
    close(*turned(), 1e-5)


@lawful
def test_stages_leave_patches_and_host_as_they_are_at_first():
    first, second = SYSTEM.at("paper").teaching.stages
    assert first.trained == ("connector",) and second.learning_rate == 2e-5
    assert second.trained == ("encoder", "connector", "decoder", "head")


@lawful
def test_the_bill_is_what_runs():
    answers = tiny(SLUG)
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
