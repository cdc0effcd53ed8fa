"""The card of 110 veagle, and its two paths."""

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.cost import sample_inputs
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "veagle"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

QUERIES, PATCHES, WIDTH = 7, 15, 20
ONE = (said(3, 1), Picture(1, 30, 50), said(5, 2))
OTHER = (said(3, 1), Picture(1, 30, 50), said(5, 3))


def image_rows(model, sample) -> torch.Tensor:
    inputs = batch(tiny(SLUG), [sample])
    return model.stream(inputs).embeddings[inputs.source >= 0]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_queries_and_patches_take_rows():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 32 + 256
    assert image_rows(fresh(tiny(SLUG)), ONE).shape == (QUERIES + PATCHES, 29)


@lawful
def test_the_patches_path_is_affine():
    """f(a x + b y) = a f(x) + b f(y) + (1 - a - b) f(0)."""
    connector = fresh(tiny(SLUG)).requires_grad_(False).connector
    generator = torch.Generator().manual_seed(4)
    x, y = (torch.randn(1, PATCHES, WIDTH, generator=generator) for _ in range(2))

    def path(tokens: torch.Tensor) -> torch.Tensor:
        return connector.connect(Features(tokens, (3, 5))).embeddings[:, QUERIES:]

    a, b = 2.0, -3.0
    expected = a * path(x) + b * path(y) + (1 - a - b) * path(torch.zeros_like(x))
    close(path(a * x + b * y), expected, 1e-5)


@lawful
def test_another_question_changes_the_queries_alone():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    one, other = image_rows(model, ONE), image_rows(model, OTHER)
    assert torch.equal(one[QUERIES:], other[QUERIES:])
    assert bool(((one - other)[:QUERIES].abs().amax(-1) > 1e-4).all())


@lawful
@pytest.mark.parametrize("rows", [slice(0, QUERIES), slice(QUERIES, None)])
def test_the_shared_map_learns_from_either_path(rows):
    model = fresh(tiny(SLUG))
    image_rows(model, ONE)[rows].square().sum().backward()
    assert float(model.connector.narrow.weight.grad.abs().max()) > 1e-3
    grad = model.connector.widen.weight.grad
    assert (grad is None or not bool(grad.any())) is (rows.start == 0)


@lawful
def test_neither_encoder_nor_host_learns():
    stages = SYSTEM.at("paper").teaching.stages
    assert {part for stage in stages for part in stage.trained} == {"connector"}
    model = on_meta(SYSTEM.at("paper"))
    former = sum(p.numel() for p in model.connector.former.parameters())
    maps = (1024 + 1) * 1408 + (1408 + 1) * 4096 + 2 * 1024
    assert count(model, "connector") - former == maps


@lawful
def test_both_paths_are_billed_as_they_run():
    answers = tiny(SLUG)
    model = build(answers).requires_grad_(False)
    inputs = sample_inputs(answers, text=11, image_size=(53, 71))
    bill = cost(answers, text=11, image_size=(53, 71))
    assert bill.prefill_flops_operator == 2 * operator_macs(lambda: model(inputs))
