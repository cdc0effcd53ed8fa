"""The card of 106 emma; its mixture alone is tested in `tests/connectors`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, said, tiny

from chiasm.assemble import build
from chiasm.connectors import MLP
from chiasm.cost import count as cost
from chiasm.model import part_of
from chiasm.spec import geometry
from chiasm.stream import Features

SLUG = "emma"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

PATCHES = 15
ONE = (said(3, 1), Picture(1, 30, 50), said(5, 2))
OTHER = (said(3, 1), Picture(1, 30, 50), said(5, 3))


def image_rows(model, sample) -> torch.Tensor:
    inputs = batch(tiny(SLUG), [sample])
    return model.stream(inputs).embeddings[inputs.source >= 0]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_a_fresh_connector_passes_features_unchanged_whatever_is_asked():
    """Bit for bit, and so a fresh model is LLaVA-1.5."""
    model, answers = build(tiny(SLUG)).eval(), replace(tiny(SLUG), connector=MLP())
    seen, mixed = [], []
    mix = model.connector.mix
    model.encoder.register_forward_hook(lambda m, args, out: seen.append(out.tokens))

    def watched(features, asked):
        mixed.append((features, mix(features, asked)))
        return mixed[-1][1]

    model.connector.mix = watched
    inputs = batch(tiny(SLUG), ragged())
    got = model(inputs)
    assert mixed and seen
    assert all(torch.equal(given, out) for given, out in mixed)
    llava, state = build(answers).eval(), model.state_dict()
    names = {name: name.replace("connector.", "connector.mlp.") for name in llava.state_dict()}
    llava.load_state_dict({name: state[mine] for name, mine in names.items()})
    assert torch.equal(got, llava(inputs))


@lawful
def test_new_parameters_that_are_taught():
    answers = SYSTEM.at("paper")
    model, plain = (on_meta(a) for a in (answers, replace(answers, connector=MLP())))
    new = count(model, "connector") - count(plain, "connector")
    words, mixing = model.connector.word_proj, model.connector.mixing
    parts = [sum(p.numel() for p in part.parameters()) for part in (words, mixing)]
    assert parts == [787_456, 376_704] and sum(parts) == new == 1_164_160
    assert new / count(model, "decoder", "head") < 0.002
    taught = cost(answers).parameters.stages
    assert taught["alignment"] == count(plain, "connector") + new
    assert not any("encoder" in stage.trained for stage in answers.teaching.stages)


@lawful
def test_the_text_tower_is_frozen_with_the_encoders():
    model = on_meta(SYSTEM.at("paper"))
    tower = [name for name, _ in model.named_parameters() if ".text_tower." in name]
    assert len(tower) > 100 and {part_of(name) for name in tower} == {"encoder"}


@lawful
def test_as_many_tokens_enter_as_before():
    assert geometry(SYSTEM.at("paper"), (480, 640)).placeholders == 576
    model = fresh(tiny(SLUG))
    assert image_rows(model, ONE).shape == (PATCHES, 29)


@lawful
def test_without_its_text_block_the_question_has_no_influence():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    assert float((image_rows(model, ONE) - image_rows(model, OTHER)).abs().max()) > 1e-3
    model.connector.mixing.weight[:, PATCHES:] = 0.0
    assert torch.equal(image_rows(model, ONE), image_rows(model, OTHER))


@lawful
def test_the_mixture_is_linear_in_the_features():
    """With words and bias held: mix(a V + b U) - mix(0) is a, b times those of V and U."""
    model = fresh(tiny(SLUG)).requires_grad_(False)
    asked = []
    mix = model.connector.mix

    def watched(features, question):
        asked.append(question)
        return mix(features, question)

    model.connector.mix = watched
    image_rows(model, ONE)
    generator = torch.Generator().manual_seed(3)
    one, other = (torch.randn(1, PATCHES, 20, generator=generator) for _ in range(2))
    still = mix(torch.zeros_like(one), asked[0])
    combined = mix(2.0 * one - 3.0 * other, asked[0]) - still
    apart = 2.0 * (mix(one, asked[0]) - still) - 3.0 * (mix(other, asked[0]) - still)
    close(combined, apart, 1e-5)
    assert float((mix(one, asked[0]) - still).abs().max()) > 0.1


@lawful
def test_the_text_block_opens_in_training():
    model, inputs = build(tiny(SLUG)).train(), batch(tiny(SLUG), ragged())
    assert not bool(model.connector.mixing.weight[:, PATCHES:].any())
    model.loss(inputs).backward()
    assert float(model.connector.mixing.weight.grad[:, PATCHES:].abs().max()) > 0


@lawful
def test_every_channel_is_mixed_alike():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    tokens = torch.randn(2, PATCHES, 20, generator=torch.Generator().manual_seed(5))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(6))
    mixed = model.connector.mix(tokens, None)
    close(model.connector.mix(tokens[..., order], None), mixed[..., order], 1e-6)
    assert isinstance(model.encoder(batch(tiny(SLUG), [ONE]).images), Features)
