"""How deep a sample goes: exits within the stack (DeeR-VLA, arXiv 2411.02359)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.compression.uses import Axis, Means, Uses
from chiasm.errors import Misuse
from chiasm.spec import Work

NEVER = -1.0
"""A threshold that no distance meets: distances are not negative."""


@dataclass(frozen=True, kw_only=True)
class EarlyExits:
    """An exit behind every `every`-th layer, and behind the last. All tokens are kept.

    A sample leaves at the first exit i whose proposal differs from that of the exit before by
    d_i <= eta_i; the first exit is compared with the layer just before it, and at the last every
    sample leaves.
    """

    every: int

    uses: ClassVar[Uses] = Uses(
        changes=frozenset({Axis.DEPTH}),
        removes={
            Means.CACHED_STEPS: "ids leave early one at a time, and the rows before are run again",
            Means.EVERY_LAYER: "a row that left has no keys behind its exit",
        },
    )

    @property
    def of_tokens(self) -> bool:
        return False

    def exits(self, depth: int) -> tuple[int, ...]:
        """The layers behind which there is an exit, ascending: 1, 3, 5, ... of every second."""
        regular = range(self.every - 1, depth, self.every)
        return tuple(sorted({*regular, depth - 1}))

    def count(self, tokens: int) -> int:
        return tokens

    def build(self, width: int) -> nn.Module | None:
        return None

    def work(self, tokens: int, width: int) -> Sequence[Work]:
        return ()


def leaving(
    distances: Float[Tensor, "sample exit"], thresholds: Sequence[float]
) -> Int[Tensor, " sample"]:
    """The number of the exit at which each sample leaves, had it been run to the last one."""
    count = distances.shape[1]
    if len(thresholds) != count:
        raise Misuse(f"{len(thresholds)} thresholds given for {count} exits; give one an exit")
    met = distances <= torch.tensor(thresholds, dtype=distances.dtype, device=distances.device)
    met[:, -1] = True
    return met.int().argmax(dim=1)
