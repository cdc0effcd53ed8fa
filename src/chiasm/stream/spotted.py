"""Texts that were found in pictures, beside the pictures themselves."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Spotted:
    """Pieces of the words that an OCR found in each sample's pictures, picture after picture."""

    ids: Int[Tensor, "batch word"]
    """Token ids; the pieces of one word share its box."""
    boxes: Int[Tensor, "batch word 4"]
    """(left, top, right, bottom), 0 to 999 of the picture's width and height, ends included."""
    item: Int[Tensor, "batch word"]
    """Which of the sample's pictures a word is on, counted from 1."""
    valid: Bool[Tensor, "batch word"]
    answered: Float[Tensor, " batch"] | None = None
    """1 where the sample's answer is among its words, 0 where not, -1 where nobody knows."""
    loss: Float[Tensor, ""] | None = None
    """What an encoder of the words asks to be taught besides, once it has read them."""

    def to(self, device: torch.device | str) -> "Spotted":
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value if value is None else value.to(device)
        return replace(self, **moved)
