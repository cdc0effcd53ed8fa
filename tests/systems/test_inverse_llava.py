"""The card of 001 inverse-llava."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, gradients, host_of, ragged, real, said, tiny

from chiasm.assemble import build
from chiasm.cost import count as cost
from chiasm.experts import AddedVision, MixedVision, VisionInside
from chiasm.layers import RMSNorm
from chiasm.stream import Modality

SLUG = "inverse-llava"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

BEFORE, PATCHES = 3, 15
SAMPLE = (said(BEFORE, 1), Picture(1, 30, 50), said(5, 2))
OTHER = (said(BEFORE, 1), Picture(2, 30, 50), said(5, 2))
MIXED = replace(tiny(SLUG), experts=VisionInside(first=MixedVision(width=20, rank=11), others=()))


def first_attention(model):
    return model.decoder.stack.layers[0].self_attn


def deltas(model):
    attention = first_attention(model)
    return [p.experts[0] for p in (attention.q_proj, attention.k_proj, attention.v_proj)]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_an_image_row_is_exactly_zero_before_the_first_layer():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    entered: list[torch.Tensor] = []
    norm = model.decoder.stack.layers[0].input_layernorm
    norm.register_forward_hook(lambda module, given, out: entered.append(given[0]))
    model(inputs)
    media = inputs.table.modality > 0
    assert bool((entered[0][media] == 0).all()) and bool(media.any())
    assert bool((entered[0][real(inputs) & ~media] != 0).any(-1).all())


@lawful
@pytest.mark.parametrize("answers", [tiny(SLUG), MIXED], ids=["added", "mixed"])
def test_with_a_zero_factor_logits_do_not_depend_on_pixels(answers):
    model = fresh(answers).requires_grad_(False)
    one, other = (batch(answers, [sample]) for sample in (SAMPLE, OTHER))
    assert not torch.equal(model(one), model(other))
    for delta in deltas(model):
        delta.scale.zero_()
    assert torch.equal(model(one), model(other))


@lawful
def test_new_parameters_of_the_7b_host():
    answers = SYSTEM.at("paper")
    alone = replace(answers, experts=VisionInside(first=AddedVision(width=1024), others=()))
    assert count(on_meta(alone), "experts") == 62_939_139
    assert count(on_meta(alone), "connector", "fusion") == 0
    assert cost(alone).parameters.by_part["experts"] == 62_939_139
    # The release's low-rank deltas stand in all layers but the first.
    host, rank = answers.host, 128
    widths = 4 * 2 * host.width + 3 * (host.width + host.ff_width)
    assert count(on_meta(answers), "experts") - 62_939_139 == 31 * rank * widths


@lawful
def test_text_to_vision_with_zero_b_equals_the_language_model_on_text():
    model = fresh(MIXED).requires_grad_(False)
    for delta in deltas(model):
        delta.b.zero_()
    inputs = batch(MIXED, [(said(7, 1),), (said(3, 2),)])
    assert torch.equal(model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)])
    shown = batch(MIXED, [SAMPLE])
    before = slice(0, BEFORE)
    assert torch.equal(model(shown)[:, before], host_of(model)(shown)[:, before])


def row_by_row(projection, x, features, source):
    """y_r = W x_r + a F(v_r), one row after the other."""
    delta, out = projection.experts[0], []
    for row, at in enumerate(source.tolist()):
        y = projection.weight @ x[row]
        if at >= 0:
            y = y + delta.scale * delta.features(features[at])
        out.append(y)
    return torch.stack(out)


@lawful
def test_projections_are_their_equation_in_values_and_gradients():
    one, other = fresh(tiny(SLUG)), fresh(tiny(SLUG))
    inputs = batch(tiny(SLUG), [SAMPLE])
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(name):
        return lambda module, given, out: seen.update({name: (given[0], out)})

    for name in ("q_proj", "k_proj", "v_proj"):
        getattr(first_attention(one), name).register_forward_hook(keep(name))
    one(inputs)
    features = other.encoder(inputs.images).tokens[0]
    total = torch.zeros(())
    for name, (x, out) in seen.items():
        projection = getattr(first_attention(other), name)
        expected = row_by_row(projection, x[0].detach(), features, inputs.source[0])
        close(out[0], expected, 1e-5)
        total = total + expected.square().sum()
    total.backward()
    sum(out.square().sum() for _, out in seen.values()).backward()
    got, expected = gradients(one), gradients(other)
    for name in got:
        if ".experts." in name or name.startswith("encoder."):
            close(got[name], expected[name], 1e-4)


@lawful
def test_text_to_vision_is_its_equation():
    """W x + a [x A ; RMSNorm(v)] B, with zeros for v at text rows."""
    model, inputs = fresh(MIXED), batch(MIXED, [SAMPLE])
    projection = first_attention(model).k_proj
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    projection.register_forward_hook(lambda module, given, out: seen.append((given[0], out)))
    model(inputs)
    x, out = seen[0]
    delta = projection.experts[0]
    features = model.encoder(inputs.images).tokens[0]
    rank = delta.a.shape[1]
    norm = RMSNorm(features.shape[-1])
    norm.load_state_dict(delta.norm.state_dict())
    for row, at in enumerate(inputs.source[0].tolist()):
        expected = (
            projection.weight @ x[0, row] + delta.scale * (x[0, row] @ delta.a) @ delta.b[:rank]
        )
        if at >= 0:
            expected = expected + delta.scale * norm(features[at]) @ delta.b[rank:]
        close(out[0, row], expected, 1e-5)


@lawful
def test_only_the_first_layer_takes_vision_in():
    model = build(tiny(SLUG))
    own = [name for name, _ in model.named_parameters() if ".experts." in name]
    assert own and all(name.startswith("decoder.stack.layers.0.self_attn.") for name in own)
    assert {name.split(".")[5] for name in own} == {"q_proj", "k_proj", "v_proj"}


@lawful
@pytest.mark.parametrize("answers", [tiny(SLUG), MIXED], ids=["added", "mixed"])
def test_a_text_row_passes_none_of_the_features_parameters(answers):
    experts, host = answers.experts, answers.host
    added = sum(p.numel() for p in build(answers).part("experts"))
    assert experts.idle(host, Modality.IMAGE) == 0
    idle = experts.idle(host, Modality.TEXT)
    assert idle == (added if answers is not MIXED else 0)
