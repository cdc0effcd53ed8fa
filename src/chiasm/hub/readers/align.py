"""ALIGN (arXiv 2102.05918): an EfficientNet and a BERT that meet in one space."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers.models.align.modeling_align import (
    AlignOutput,
    AlignTextModel,
    AlignVisionModel,
)

from chiasm.errors import ChiasmError
from chiasm.hub.names import Names
from chiasm.hub.readers.plan import Plan
from chiasm.hub.tensors import Stored

_SMOOTHING = 0.1
"""Label smoothing of ALIGN's contrastive loss."""


def align(config: Any, stored: Mapping[str, Stored]) -> Plan:
    """`AlignModel`.

    Raises:
        ChiasmError: one of its towers alone.
    """
    given = (config.architectures or ["AlignModel"])[0]
    if given != "AlignModel":
        raise ChiasmError(f"{given!r} is not read; known: AlignModel")
    names = ("vision_model.", "text_model.", "text_projection.", "temperature")

    def example(generator: torch.Generator) -> dict[str, Tensor]:
        words, side = config.text_config.vocab_size, config.vision_config.image_size
        mask = torch.ones(2, 7, dtype=torch.long)
        mask[1, 4:] = 0
        return {
            "input_ids": torch.randint(1, words, (2, 7), generator=generator),
            "attention_mask": mask,
            "pixel_values": torch.randn(2, 3, side, side, generator=generator),
        }

    return Plan(lambda: Align(config), Names(tuple((name, name) for name in names)), example)


class Align(nn.Module):
    """Called like transformers' `AlignModel`: the towers are its own, what joins them is ours.

    image = mean (or maximum) of the last map; text = W h[CLS] + b; both at length one; the logits
    are their products over the learned temperature.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.pooling = config.vision_config.pooling_type
        self.vision_model = AlignVisionModel(config.vision_config)
        self.text_model = AlignTextModel(config.text_config)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim)
        self.temperature = nn.Parameter(torch.tensor(float(config.temperature_init_value)))

    def forward(
        self,
        input_ids: Int[Tensor, "text token"],
        pixel_values: Float[Tensor, "image 3 height width"],
        attention_mask: Bool[Tensor, "text token"] | None = None,
        token_type_ids: Int[Tensor, "text token"] | None = None,
        position_ids: Int[Tensor, "text token"] | None = None,
        return_loss: bool = False,
    ) -> AlignOutput:
        """Embeddings of length one, and every text's likeness to every image."""
        image = self.image(pixel_values)
        text = self.text(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
        )
        likeness = text @ image.T / self.temperature
        # transformers annotates the fields with a narrower tensor class.
        return AlignOutput(
            loss=_contrast(likeness) if return_loss else None,  # type: ignore[arg-type]
            logits_per_image=likeness.T,  # type: ignore[arg-type]
            logits_per_text=likeness,  # type: ignore[arg-type]
            text_embeds=text,  # type: ignore[arg-type]
            image_embeds=image,  # type: ignore[arg-type]
        )

    def image(self, pixels: Float[Tensor, "image 3 height width"]) -> Float[Tensor, "image width"]:
        """Embeddings of images."""
        tower = self.vision_model
        places = tower.encoder(tower.embeddings(pixels)).last_hidden_state.flatten(2)
        pooled = places.mean(-1) if self.pooling == "mean" else places.amax(-1)
        return normalize(pooled, dim=-1)

    def text(self, ids: Int[Tensor, "text token"], **identity: Any) -> Float[Tensor, "text width"]:
        """Embeddings of texts, read at their first token."""
        hidden = self.text_model(input_ids=ids, **identity).last_hidden_state
        return normalize(self.text_projection(hidden[:, 0]), dim=-1)


def _contrast(likeness: Float[Tensor, "text image"]) -> Float[Tensor, ""]:
    """Mean of text-to-image and image-to-text cross-entropy; the n-th text and image are a pair."""
    pairs = torch.arange(len(likeness), device=likeness.device)
    losses = [cross_entropy(s, pairs, label_smoothing=_SMOOTHING) for s in (likeness, likeness.T)]
    return (losses[0] + losses[1]) / 2
