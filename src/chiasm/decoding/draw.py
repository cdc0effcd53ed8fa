"""Drawing with a model: the prompts' keys and values once, then a few rows a step."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.backbone import Borrowed, Cache, GrowingCache
from chiasm.decoding.flow import Guidance, euler, times
from chiasm.drawing import draft_rows
from chiasm.errors import Misuse
from chiasm.objectives import Direction
from chiasm.stream import Inputs, Modality, TokenTable


class Draws(Protocol):
    """What drawing needs of a model."""

    def hidden(self, inputs: Inputs, *, cache: Cache | None = None) -> Tensor: ...

    def velocity(self, hidden: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """One batch of pictures to draw, as inputs that end in their (still empty) drafts.

    `no_text` and `no_images` are the same pictures without what was asked, or shown; None where the
    guidance does not need them.
    """

    full: Inputs
    no_text: Inputs | None = None
    no_images: Inputs | None = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How a flow is walked."""

    steps: int = 25
    shift: float = 1.0
    guidance: Guidance = field(default_factory=Guidance)
    seed: int = 0


@torch.inference_mode()
def draw(
    model: Draws, prompts: Prompts, direction: Direction, how: Drawing
) -> Float[Tensor, "picture row patch"]:
    """The latent rows of a picture a sample, from seeded noise."""
    conditions = {
        name: Prompted.read(model, inputs)
        for name, inputs in (
            ("full", prompts.full),
            ("no_text", prompts.no_text if how.guidance.text != 1.0 else None),
            ("no_images", prompts.no_images if how.guidance.image != 1.0 else None),
        )
        if inputs is not None
    }
    full = conditions.pop("full")

    def velocity(held: Tensor, time: float) -> Tensor:
        said = full.velocity(model, held, time)
        if not conditions or not how.guidance.acts(direction.noise(time)):
            return said
        others = {name: c.velocity(model, held, time) for name, c in conditions.items()}
        return how.guidance.combine(said, others.get("no_text"), others.get("no_images"))

    generator = torch.Generator().manual_seed(how.seed)
    noise = torch.randn(full.shape, generator=generator).to(prompts.full.ids.device)
    return euler(velocity, noise, times(how.steps, direction, shift=how.shift))


@dataclass(frozen=True)
class Prompted:
    """Prompts that were read once, and the drafts that follow them."""

    cache: Cache
    table: TokenTable
    """Of the drafts."""
    shape: tuple[int, int, int]

    @classmethod
    def read(cls, model: Draws, inputs: Inputs) -> "Prompted":
        """Run everything but the drafts, keeping keys and values.

        Raises Misuse for samples that draw other than one picture each.
        """
        assert inputs.latents is not None
        is_draft = draft_rows(inputs.table)
        counts = set(is_draft.sum(1).tolist())
        if len(counts) != 1 or 0 in counts:
            raise Misuse(f"every sample draws one picture of equal size, not {sorted(counts)} rows")
        [rows] = counts
        index = _places(is_draft, rows)
        cache, drafts = GrowingCache(), inputs.table.rows(index)
        cache.following = drafts
        model.hidden(_without(inputs, is_draft), cache=cache)
        shape = (len(inputs.ids), rows, inputs.latents.shape[2])
        return cls(cache, drafts, shape)

    def velocity(self, model: Draws, held: Tensor, time: float) -> Tensor:
        """The velocity of drafts that hold `held` at this time."""
        place = self.table.place.clone()
        place[..., 0] = time
        blank = torch.zeros(self.shape[:2], dtype=torch.long, device=held.device)
        inputs = Inputs(
            ids=blank,
            table=replace(self.table, place=place),
            source=blank - 1,
            latents=held,
            latent_of=blank + torch.arange(self.shape[1], device=held.device),
        )
        return model.velocity(model.hidden(inputs, cache=Borrowed(self.cache)))


def _places(chosen: Tensor, count: int) -> Int[Tensor, "batch row"]:
    """The places of the chosen rows, in storage order."""
    return (~chosen).long().argsort(dim=1, stable=True)[:, :count]


def _without(inputs: Inputs, drafts: Tensor) -> Inputs:
    """The rows before the drafts, which end every sample; those of shorter samples are padding."""
    kept = inputs.table.valid & ~drafts
    longest = slice(0, int(kept.sum(1).max()))
    table = inputs.table.hiding(drafts)
    table = replace(table, modality=table.modality.masked_fill(drafts, int(Modality.TEXT)))
    assert inputs.latent_of is not None
    return replace(
        inputs,
        ids=inputs.ids[:, longest],
        table=table.cut(longest),
        source=inputs.source[:, longest],
        latent_of=inputs.latent_of.masked_fill(drafts, -1)[:, longest],
        labels=None,
    )
