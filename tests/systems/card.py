"""What every system's tests begin with: the system, or a skip; its mark; and that it builds."""

import pytest
import torch
from tests.tiny import batch, ragged
from torch import Tensor, nn

from chiasm.assemble import build
from chiasm.model import Model
from chiasm.spec import Answers, Scale, System, geometry, registered
from chiasm.stream import Features

LARGE = (Scale.SMOL, Scale.PAPER)
"""Scales that are built without being allocated."""


def system_or_skip(slug: str) -> System:
    """The system of this slug; the module is skipped where its file is absent."""
    if slug not in registered():
        pytest.skip(f"{slug} is not installed", allow_module_level=True)
    return registered()[slug]


def count(model: Model, *parts: str) -> int:
    """Parameters of the named parts, or of the whole model."""
    if not parts:
        return sum(p.numel() for p in model.parameters())
    return sum(p.numel() for part in parts for p in model.part(part))


def on_meta(answers: Answers) -> Model:
    return build(answers, device="meta")


def builds_and_learns(system: System) -> None:
    """Three scales build; at nano a step of its first stage lowers the loss it was taken on."""
    for scale in LARGE:
        assert count(on_meta(system.at(scale))) > 10**8
        assert geometry(system.at(scale), (480, 640)).placeholders < 4000
    answers = system.at(Scale.NANO)
    model, inputs = build(answers).train(), batch(answers, ragged())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    first = model.loss(inputs)
    first.backward()
    optimiser.step()
    assert model.loss(inputs).item() < first.item()


class Permuted(nn.Module):
    """An encoder whose tokens come out in another order."""

    def __init__(self, encoder: nn.Module, order: Tensor) -> None:
        super().__init__()
        self.encoder, self.order = encoder, order

    def forward(self, images: Tensor, image_valid: Tensor | None = None) -> Features:
        features = self.encoder(images, image_valid)
        return Features(features.tokens[:, self.order], features.grid)


class Watched(nn.Module):
    """An encoder whose tokens are leaves, so that gradients tell what depends on which token."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokens: Tensor = torch.empty(0)

    def forward(self, images: Tensor, image_valid: Tensor | None = None) -> Features:
        features = self.encoder(images, image_valid)
        self.tokens = features.tokens.detach().requires_grad_()
        return Features(self.tokens, features.grid, features.valid)
