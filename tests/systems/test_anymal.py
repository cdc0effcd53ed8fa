"""The card of 171 anymal."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, fresh, ragged, said, tiny

from chiasm.assemble import build
from chiasm.compressing.weights import quantised_weights
from chiasm.compression.companion import WeightCodec
from chiasm.experts import SharedWeights
from chiasm.experts.lora import LowRank
from chiasm.spec import geometry
from chiasm.training.freezing import freeze

SLUG = "anymal"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


def aligned():
    """A model as the first stage trains it."""
    model = fresh(tiny(SLUG))
    freeze(model, SYSTEM.at("paper").teaching.stages[0].trained)
    return model


def slopes(model) -> torch.Tensor:
    """The aligner's gradient, as one vector."""
    return torch.cat([p.grad.flatten() for p in model.connector.parameters()])


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_host_has_69_billion_parameters_and_64_rows_show_an_image():
    model = on_meta(SYSTEM.at("paper"))
    assert count(model, "decoder", "head") == 68_976_648_192
    for size in ((480, 640), (31, 999)):
        assert geometry(SYSTEM.at("paper"), size).placeholders == 64


@lawful
def test_the_first_stage_leaves_every_byte_of_the_host():
    model, inputs = aligned(), batch(tiny(SLUG), ragged())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.loss(inputs).backward()
    optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert moved and all(name.startswith("connector.") for name in moved)


@lawful
def test_a_host_in_8_bits_teaches_the_aligner_alike():
    pytest.importorskip("torchao")
    model, inputs = aligned(), batch(tiny(SLUG), ragged())
    model.loss(inputs).backward()
    exact = slopes(model)
    model.zero_grad()
    with quantised_weights(model.decoder, WeightCodec(bits=8)):
        model.loss(inputs).backward()
        coarse = slopes(model)
    assert not torch.equal(exact, coarse)
    assert float(torch.nn.functional.cosine_similarity(exact, coarse, dim=0)) > 0.99


@lawful
def test_inputs_stand_side_by_side_without_teaching():
    """Rows of one image are what they are alone, whatever stands beside it."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    one, two = Picture(1, 24, 40), Picture(2, 24, 40)
    alone = batch(tiny(SLUG), [(said(2, 1), one), (said(2, 1), two)])
    both = batch(tiny(SLUG), [(said(2, 1), one, two)])
    apart = model.stream(alone).embeddings[alone.source >= 0]
    joined = model.stream(both).embeddings[both.source >= 0]
    torch.testing.assert_close(joined, apart, rtol=0, atol=1e-5)


@lawful
def test_with_deltas_at_zero_it_is_the_first_stages_model():
    answers, inputs = tiny(SLUG), batch(tiny(SLUG), ragged())
    model = build(answers).eval()
    deltas = [module for module in model.modules() if isinstance(module, LowRank)]
    assert len(deltas) == 4 * answers.host.depth
    assert all(not bool(delta.b.any()) for delta in deltas)
    plain = build(replace(answers, experts=SharedWeights())).eval()
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    assert torch.equal(model(inputs), plain(inputs))
