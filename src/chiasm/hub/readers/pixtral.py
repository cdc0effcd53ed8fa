"""Pixtral's vision tower alone (arXiv 2410.07073)."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from chiasm.encoders import RotaryViT
from chiasm.errors import ChiasmError
from chiasm.hub.inputs import sizes_of, within
from chiasm.hub.names import PIXTRAL, Names
from chiasm.hub.pixtral import encoder_of
from chiasm.hub.readers.plan import Plan
from chiasm.hub.tensors import Stored


def pixtral(config: Any, stored: Mapping[str, Stored]) -> Plan:
    """`PixtralVisionModel`.

    Raises:
        ChiasmError: another class, or a setting that the tower does not have.
    """
    given = (config.architectures or ["PixtralVisionModel"])[0]
    if given != "PixtralVisionModel":
        raise ChiasmError(f"{given!r} is not read; known: PixtralVisionModel")
    encoder = encoder_of(config, tuple(range(config.num_hidden_layers + 1)))
    pairs = tuple((f"encoder.{ours}", theirs) for ours, theirs in PIXTRAL)

    def example(generator: torch.Generator) -> dict[str, Tensor]:
        # Of one size, so that each layer holds as many tokens packed as padded.
        side = encoder.patch
        return {"pixel_values": torch.randn(2, 3, 3 * side, 4 * side + 1, generator=generator)}

    depth = range(config.num_hidden_layers)
    layers = ((f"layers.{at}", f"encoder.layers.{at}", f"transformer.layers.{at}") for at in depth)
    return Plan(lambda: PixtralTower(encoder), Names(pairs), example, tuple(layers))


class PixtralTower(nn.Module):
    """Called like transformers' `PixtralVisionModel`; `.encoder` is ours."""

    def __init__(self, encoder: RotaryViT) -> None:
        super().__init__()
        self.encoder = encoder.build()

    def forward(
        self,
        pixel_values: Float[Tensor, "image 3 height width"],
        image_sizes: Int[Tensor, "image 2"] | None = None,
        output_hidden_states: bool = False,
    ) -> BaseModelOutputWithPooling:
        """`.last_hidden_state` `[1, token, width]`: the tokens of all images, one after another.

        Raises:
            ChiasmError: sizes that the pixels do not have.
        """
        sizes = [(pixel_values.shape[-2], pixel_values.shape[-1])] * len(pixel_values)
        if image_sizes is not None:
            sizes = sizes_of(image_sizes, pixel_values)
        features = self.encoder(pixel_values, within(sizes, pixel_values))
        assert features.valid is not None
        states = tuple(state[features.valid].unsqueeze(0) for state in features.taps)
        # transformers annotates the fields with a narrower tensor class.
        return BaseModelOutputWithPooling(
            last_hidden_state=states[-1],  # type: ignore[arg-type]
            hidden_states=states if output_hidden_states else None,  # type: ignore[arg-type]
        )
