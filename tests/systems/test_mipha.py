"""The card of 070 mipha."""

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import batch, fresh, ragged, tiny

from chiasm.model import part_of
from chiasm.spec import Scale, geometry

SLUG = "mipha"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_parts_have_the_published_sizes():
    model = on_meta(PAPER)
    assert count(model, "connector") == 9_507_840
    # Phi-2 holds 2,779,683,840; the bias of its head is left out here.
    assert count(model, "decoder", "head") == 2_779_683_840 - 51_200


@lawful
@pytest.mark.parametrize("size", [(384, 384), (50, 2000), (2000, 50), (1, 1)])
def test_729_tokens_at_any_aspect(size):
    plan = geometry(PAPER, size)
    assert plan.grids == ((27, 27),) and plan.placeholders == 729
    assert PAPER.pixels.fit == "pad"


@lawful
@pytest.mark.parametrize("stage", PAPER.teaching.stages, ids=lambda stage: stage.name)
def test_the_encoder_learns_in_the_second_stage_alone(stage):
    """A step of each stage moves what the stage names, the first patch projection included."""
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in stage.trained)
    model.loss(inputs).backward()
    reached = {part_of(n) for n, p in model.named_parameters() if p.grad is not None}
    if stage.name == "alignment":
        assert reached == {"connector"}
    else:
        assert {"encoder", "connector", "decoder"} <= reached
        assert float(model.encoder.stem[0].weight.grad.abs().max()) > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
