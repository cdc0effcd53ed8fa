"""What a model makes of pictures before language: features, and a connector's tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.data.example import Picture
from chiasm.data.views import picture, view_pixels
from chiasm.errors import Misuse
from chiasm.model import Model, per_sample
from chiasm.stream import Features, Inputs, Stream, Tokens


@dataclass(frozen=True)
class Encoded:
    """Of each sample its pictures' tokens in a row."""

    features: Float[Tensor, "sample token width"]
    grid: tuple[int, int]
    """Rows and columns of one picture's, or one view's, features."""
    connected: Float[Tensor, "sample row host_width"] | None
    """None where every layer has a projector of its own."""


@torch.no_grad()
def encoded(model: Model, inputs: Inputs) -> Encoded:
    """What encoder and connector give while the model reads its pictures.

    Raises:
        Misuse: nothing encodes pictures, or their numbers of tokens differ.
    """
    kept: list[Features] = []

    def keep(module: nn.Module, given: object, made: Features) -> None:
        kept.append(made)

    if model.encoder is None or inputs.owners is None:
        raise Misuse("nothing encodes pictures here; inspect a model with an encoder, on pictures")
    hook = model.encoder.register_forward_hook(keep)
    try:
        stream = model.stream(inputs)
    finally:
        hook.remove()
    made = kept[-1]
    features = per_sample(Tokens(made.tokens, made.valid), inputs.owners)
    return Encoded(features, made.grid, _connected(model, stream))


def _connected(model: Model, stream: Stream) -> Tensor | None:
    """The rows that came in the place of pictures, or the memory that layers read."""
    answers = model.answers
    if answers.connector.layerwise:
        return None
    if not answers.fusion.enters:
        return None if stream.memory is None else stream.memory.tokens
    assert stream.source is not None
    rows = (stream.source >= 0) & stream.table.valid
    counts = rows.sum(1)
    if int(counts.min()) != int(counts.max()):
        raise Misuse(
            f"pictures become {int(counts.min())} to {int(counts.max())} tokens; inspect pictures "
            "of one size"
        )
    return stream.embeddings[rows].unflatten(0, (len(rows), -1))


def encoder_maps(
    model: Model,
) -> Callable[[Sequence[Picture]], Float[Tensor, "picture width row column"]]:
    """Makes maps of the encoder's raw features, channels first; nothing behind it is run.

    Raises:
        Misuse: the model has no encoder, or cuts a picture into several views.
    """

    @torch.no_grad()
    def maps(shown: Sequence[Picture]) -> Tensor:
        found: list[Tensor] = []
        for one in map(picture, shown):
            views = model.answers.views.plan((one.height, one.width))
            if model.encoder is None or len(views) != 1:
                raise Misuse(
                    f"a picture becomes {len(views)} views of an encoder; correspondence needs one"
                )
            pixels = torch.stack(view_pixels(one, views, model.answers.pixels))
            made: Features = model.encoder(pixels.to(model.device))
            found.append(made.tokens.transpose(1, 2).unflatten(2, made.grid).float().cpu())
        return torch.cat(found)

    return maps
