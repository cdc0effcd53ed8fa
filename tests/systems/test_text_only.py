"""The control's card: it looks at nothing."""

from dataclasses import replace

import torch
from tests.systems.card import builds_and_learns, count, system_or_skip
from tests.tiny import Picture, batch, ragged, said, shared_model, tiny

SLUG = "text-only"
SYSTEM = system_or_skip(SLUG)


def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


def test_logits_do_not_depend_on_the_image():
    model = shared_model(SLUG)
    seen = batch(tiny(SLUG), [(said(3, 1), Picture(1, 30, 50), said(4, 2))])
    unseen = batch(tiny(SLUG), [(said(3, 1), said(4, 2))])
    assert torch.equal(model(seen), model(unseen))
    forced = replace(unseen, images=torch.randn(1, 3, 24, 40), owners=torch.zeros(1, 1).long())
    assert torch.equal(model(forced), model(unseen))


def test_only_a_host_has_parameters():
    model = shared_model(SLUG)
    assert count(model, "encoder", "connector", "fusion") == 0
    assert count(model, "decoder", "head") == count(model)
    assert batch(tiny(SLUG), ragged()).images is None
