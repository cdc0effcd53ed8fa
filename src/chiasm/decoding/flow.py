"""Pictures out of noise: Euler steps along a flow, guided away from what lacks the prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.objectives import Direction, shifted

Velocity = Callable[[Float[Tensor, "picture row patch"], float], Float[Tensor, "picture row patch"]]
"""Called with what the pictures hold, and the time that they share."""


def times(steps: int, direction: Direction, *, shift: float = 1.0) -> Float[Tensor, " time"]:
    """The `steps + 1` times of a flow, from noise to picture: 1 … 0 or 0 … 1.

    A shift above 1 takes smaller steps near time 1 (`shifted`).
    """
    if steps < 1:
        raise Misuse(f"a picture takes at least 1 step, not {steps}")
    even = torch.linspace(1.0, 0.0, steps + 1)
    clean_last = even if Direction(direction) is Direction.TO_NOISE else even.flip(0)
    return shifted(clean_last, shift)


def euler(
    velocity: Velocity,
    noise: Float[Tensor, "picture row patch"],
    at: Float[Tensor, " time"],
) -> Float[Tensor, "picture row patch"]:
    """x <- x + (t' - t) v(x, t) along the times `at`.

    Exact, whatever the number of steps, for a velocity that does not change along the path.
    """
    held = noise
    for now, then in zip(at[:-1].tolist(), at[1:].tolist(), strict=True):
        held = held + (then - now) * velocity(held, now)
    return held


class Rescale(StrEnum):
    """Over what the norm of a guided velocity is brought back to that of the unguided one.

    none: nothing. picture: all rows of a picture. row: each row by itself. text-row: each row,
    after the text's guidance and before the image's.
    """

    NONE = "none"
    PICTURE = "picture"
    ROW = "row"
    TEXT_ROW = "text-row"


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Classifier-free guidance (arXiv 2207.12598) by text and image (BAGEL's sampler).

    v_text = v_no_text + text (v - v_no_text); v_guided = v_no_image + image (v_text - v_no_image),
    while the share of noise is in `interval` = (low, high], else v. With `rescale`, v_guided is
    multiplied by clamp(|v| / |v_guided|, least, 1).
    """

    text: float = 1.0
    image: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: Rescale = Rescale.NONE
    least: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.interval
        if not low <= high:
            raise Misuse(f"guidance at noise from {low:g} to {high:g} covers nothing; swap the two")

    def acts(self, noise: float) -> bool:
        """Whether a velocity is guided where the rows are to this share noise."""
        low, high = self.interval
        return low < noise <= high and (self.text != 1.0 or self.image != 1.0)

    def combine(
        self, full: Tensor, no_text: Tensor | None, no_image: Tensor | None
    ) -> Float[Tensor, "picture row patch"]:
        """The guided velocity of three: with everything, without the text, without the image."""
        guided, kind = full, Rescale(self.rescale)
        if no_text is not None and self.text != 1.0:
            guided = no_text + self.text * (guided - no_text)
        if kind is Rescale.TEXT_ROW:
            guided = self._rescaled(guided, full, (-1,))
        if no_image is not None and self.image != 1.0:
            guided = no_image + self.image * (guided - no_image)
        if kind is Rescale.ROW:
            return self._rescaled(guided, full, (-1,))
        return self._rescaled(guided, full, (-2, -1)) if kind is Rescale.PICTURE else guided

    def _rescaled(self, guided: Tensor, full: Tensor, over: tuple[int, ...]) -> Tensor:
        size = guided.square().sum(over, keepdim=True).sqrt()
        wanted = full.square().sum(over, keepdim=True).sqrt()
        return guided * (wanted / (size + 1e-8)).clamp(self.least, 1.0)
