"""The card of 097 eagle."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import Picture, batch, close, fresh, ragged, said, tiny

from chiasm.assemble import build
from chiasm.lineages.connecting import EAGLE_ALONE
from chiasm.spec import geometry
from chiasm.training.freezing import freeze

SLUG = "eagle"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
ONE = (said(3, 1), Picture(1, 24, 40), said(2, 2))


def of_first(answers, number: int):
    """The same system with the first encoders alone."""
    encoder = answers.encoder
    kept = replace(encoder, parts=encoder.parts[:number], moments=encoder.moments[:number])
    return replace(answers, encoder=kept)


def image_rows(model) -> torch.Tensor:
    inputs = batch(tiny(SLUG), [ONE])
    return model.stream(inputs).embeddings[inputs.source >= 0]


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_1024_tokens_and_only_the_first_map_widens(number):
    answers = of_first(SYSTEM.at("paper"), number)
    assert geometry(answers, (480, 640)).placeholders == 1024
    widths = (1024, 3072, 4096, 1024, 1536)[:number]
    held = (sum(widths) + 1) * 4096 + (4096 + 1) * 4096
    assert answers.encoder.width == sum(widths)
    assert count(on_meta(replace(answers, encoder=_Wide(sum(widths)))), "connector") == held


class _Wide:
    """An encoder of this width that is not built: connectors are counted without it."""

    def __init__(self, width: int) -> None:
        self.width = width

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        return 32, 32

    def build(self) -> None:
        return None


@lawful
def test_zeros_in_its_slice_take_an_encoder_away():
    model = fresh(tiny(SLUG)).requires_grad_(False)
    both = image_rows(model)
    first, width = model.connector[0], model.answers.encoder.parts[0].width
    first.weight[:, width:] = 0.0
    without = image_rows(model)
    assert float((both - without).abs().max()) > 1e-2
    alone = build(of_first(tiny(SLUG), 1)).eval().requires_grad_(False)
    state = {name: value for name, value in model.state_dict().items()}
    state["connector.0.weight"] = first.weight[:, :width]
    alone.load_state_dict({name: state[name] for name in alone.state_dict()})
    close(image_rows(alone), without, 1e-6)


@lawful
def test_alone_an_encoder_learns_beside_a_frozen_host():
    model, inputs = build(of_first(tiny(SLUG), 1)), batch(tiny(SLUG), ragged())
    freeze(model, EAGLE_ALONE.stages[0].trained)
    model.loss(inputs).backward()
    host = [*model.decoder.parameters(), *model.head.parameters()]
    assert all(p.grad is None for p in host)
    assert all(p.grad is not None for p in model.connector.parameters())
    assert any(bool(p.grad.any()) for p in model.encoder.parameters() if p.grad is not None)


@lawful
def test_every_encoder_gets_gradient_in_the_last_stage():
    last = SYSTEM.at("paper").teaching.stages[-1]
    model, inputs = build(tiny(SLUG)), batch(tiny(SLUG), ragged())
    freeze(model, last.trained)
    model.loss(inputs).backward()
    for part in model.encoder.parts:
        assert any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
    first = SYSTEM.at("paper").teaching.stages[0]
    assert first.trained == ("connector", "fusion")
