"""Model merging: a multimodal model drawn back towards the language model that it began as."""

import torch

from chiasm.errors import Misuse
from chiasm.model import Model, part_of

HOST = ("decoder", "head")
"""The parts that a language model has too; all others stay the multimodal model's."""


@torch.no_grad()
def merge(model: Model, text: Model, share: float) -> int:
    """theta = share * theta_model + (1 - share) * theta_text for every tensor of the host, in place
    (Aya Vision, arXiv 2505.08751); the number of tensors that were merged.

    `text` is the language model that `model` was taught from; encoder, connector and whatever else
    `model` has beside the host stay as they are. share = 1 leaves the model, 0 gives its host the
    language model's own weights. Sums are taken in float32.

    Raises:
        Misuse: a share outside [0, 1], or a tensor that the language model has not, or has of
            another shape.
    """
    if not 0.0 <= share <= 1.0:
        raise Misuse(f"a share of {share:g} is no mixture of two models; give one from 0 to 1")
    given, merged = dict(text.named_parameters()), 0
    pairs = {name: own for name, own in model.named_parameters() if part_of(name) in HOST}
    for name, own in pairs.items():
        if name not in given:
            raise Misuse(f"the language model has no {name}: it is not what the model began as")
        other = given[name]
        if own.shape != other.shape:
            raise Misuse(
                f"{name} is {'x'.join(map(str, own.shape))} here and "
                f"{'x'.join(map(str, other.shape))} in the language model; "
                "take the one that the model began as"
            )
    for name, own in pairs.items():
        drawn = torch.lerp(given[name].float().to(own.device), own.float(), share)
        own.copy_(drawn)
        merged += 1
    return merged
