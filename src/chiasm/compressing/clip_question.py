"""How much each token is like a question, by CLIP's text tower: a look its user has to pay for."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class ClipQuestion:
    """The questions of a batch in CLIP's own words, and the CLIP of the host's vision tower."""

    clip: Any
    """A `transformers.CLIPModel`."""
    ids: Int[Tensor, "sample word"]
    """CLIP's ids of each sample's question, padded at the end to CLIP's length."""

    @torch.no_grad()
    def likeness(
        self, features: Float[Tensor, "token width"], sample: int
    ) -> Float[Tensor, " token"]:
        """Cosine of every patch with the last slot of the question, both projected as CLIP does.

        Raises:
            Misuse: no question for this sample, or features of another width than CLIP's.
        """
        clip = self.clip
        wanted = clip.visual_projection.weight.shape[1]
        if features.shape[-1] != wanted:
            raise Misuse(
                f"this CLIP's patches have width {wanted}, the host's encoder gives "
                f"{features.shape[-1]}; pass the CLIP that the host's vision tower is of"
            )
        if sample >= len(self.ids):
            raise Misuse(f"sample {sample} has no question; {len(self.ids)} are given")
        ids = self.ids[sample : sample + 1].to(clip.text_projection.weight.device)
        last = clip.text_model(input_ids=ids).last_hidden_state[:, -1]
        patches = clip.vision_model.post_layernorm(features.to(clip.visual_projection.weight.dtype))
        return cosine_similarity(
            clip.visual_projection(patches).float(), clip.text_projection(last).float(), dim=-1
        )
