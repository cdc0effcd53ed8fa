"""Where a falling curve bends: how many tokens stand out."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.compression.budgets import Share


def knee(scores: Float[Tensor, " token"], window: int = 5) -> int | None:
    """How many of the scores, from the highest on, stand before the bend of their curve.

    Scores in falling order and their ranks are both brought to [0, 1]; the bend is where the curve
    lies farthest below the chord from its first to its last point. It is found on means over
    `window` neighbours, so that one gap between two scores is no bend, and then placed on the curve
    itself, within the window. None: the curve is nowhere below its chord.
    """
    falling = scores.detach().double().sort(descending=True).values
    spread = falling[0] - falling[-1] if len(falling) > 2 else 0.0
    if not spread > 0:
        return None
    value = (falling - falling[-1]) / spread
    rank = torch.linspace(0, 1, len(value), dtype=value.dtype, device=value.device)
    side = min(window // 2, (len(value) - 1) // 2)
    ends = value[:1].expand(side), value, value[-1:].expand(side)
    smooth = torch.cat(ends).unfold(0, 2 * side + 1, 1).mean(-1)
    near = int((1 - rank - smooth).argmax())
    start = max(0, near - window)
    below = (1 - rank - value)[start : near + window + 1]
    return start + int(below.argmax()) if float(below.max()) > 1e-9 else None


@dataclass(frozen=True, kw_only=True)
class Knee:
    """The tokens before the bend, at least `least` and at most half of them; half of them where the
    curve does not bend.
    """

    share: Share
    """What a bill expects."""
    least: int = 16
    window: int = 5

    def count(self, scores: Tensor) -> int:
        least = min(self.least, scores.numel())
        most = max(least, scores.numel() // 2)
        found = knee(scores, self.window)
        return most if found is None else min(most, max(least, found))

    def expected(self, tokens: int) -> int:
        return self.share.count(torch.zeros(tokens))
