"""Pictures in the making: the drafts of a batch, noised for training, and what they must learn."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.objectives import RectifiedFlow
from chiasm.stream import Inputs, Role, TokenTable
from chiasm.stream.table import take


@dataclass(frozen=True)
class Drafted:
    """Inputs whose drafts hold noised latents, and the velocity at every row (0 elsewhere)."""

    inputs: Inputs
    velocity: Float[Tensor, "batch token channel"]
    rows: Bool[Tensor, "batch token"]
    """The rows of drafts."""


def draft_rows(table: TokenTable) -> Bool[Tensor, "batch token"]:
    """True for the rows of a picture in the making."""
    return (table.role == int(Role.DRAFT)) & table.valid


def drafted(
    inputs: Inputs,
    flow: RectifiedFlow,
    rows: int,
    *,
    time: Float[Tensor, "batch picture"] | None = None,
    noise: Float[Tensor, "batch latent channel"] | None = None,
) -> Drafted:
    """Every picture of `rows` latent rows at a time of its own, in the place of its drafts.

    Clean copies stay as they are. Time and noise are drawn where they are not given. Raises
    ValueError for inputs without latents.
    """
    if inputs.latents is None or inputs.latent_of is None:
        raise ValueError("these inputs hold no latents: there is nothing to draft")
    batch, count, channels = inputs.latents.shape
    pictures = inputs.latents.reshape(-1, rows, channels)
    made = flow.draft(
        pictures,
        time=None if time is None else time.reshape(-1),
        noise=None if noise is None else noise.reshape(pictures.shape),
    )
    is_draft, held = draft_rows(inputs.table), inputs.latent_of.clamp(min=0)
    when = take(made.time.repeat_interleave(rows).view(batch, count), held)
    place = inputs.table.place.clone()
    place[..., 0] = torch.where(is_draft, when, place[..., 0])
    velocity = take(made.velocity.reshape(batch, count, channels), held)
    return Drafted(
        replace(
            inputs,
            table=replace(inputs.table, place=place),
            latents=torch.cat([inputs.latents, made.values.reshape(batch, count, channels)], 1),
            latent_of=torch.where(is_draft, inputs.latent_of + count, inputs.latent_of),
        ),
        velocity * is_draft.unsqueeze(-1),
        is_draft,
    )
