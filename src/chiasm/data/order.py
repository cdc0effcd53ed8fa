"""The order in which samples are taught: a pure function of seed and step, so that resuming a run
needs only the step number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chiasm.errors import Misuse


@dataclass(frozen=True)
class Order:
    """A fresh shuffle of `range(count)` for every epoch, the same on every machine and version.

    Only raw generator bits and a stable sort are used: both are fixed across numpy versions, which
    `Generator.permutation` is not.
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise Misuse(
                f"an order needs at least one sample, not {self.count}; is the data empty?"
            )
        if self.seed < 0:
            raise Misuse(f"the seed is a whole number from 0, not {self.seed}")

    def indices(self, epoch: int) -> np.ndarray:
        """The permutation of `range(count)` for this epoch, int64 `[count]`."""
        bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch]))
        return np.argsort(bits.random_raw(self.count), kind="stable").astype(np.int64)

    def steps(self, batch_size: int, *, drop_last: bool = False) -> int:
        """Batches an epoch; the last is shorter unless it is dropped."""
        if batch_size < 1:
            raise Misuse(f"batch_size is at least 1, not {batch_size}")
        if drop_last and batch_size > self.count:
            raise Misuse(
                f"batch_size {batch_size} exceeds the {self.count} samples, so drop_last leaves "
                f"nothing; make the batch smaller"
            )
        return self.count // batch_size if drop_last else -(-self.count // batch_size)

    def batches(
        self, start_step: int, batch_size: int, *, drop_last: bool = False
    ) -> Iterator[tuple[int, list[int]]]:
        """(epoch, sample indices) of step `start_step` and every one after it, without end.

        Within an epoch every sample appears once; no batch spans two epochs. What step n yields
        does not depend on where the iteration began.
        """
        if start_step < 0:
            raise Misuse(f"start_step is a step number from 0, not {start_step}")
        steps = self.steps(batch_size, drop_last=drop_last)
        epoch, step = divmod(start_step, steps)
        while True:
            indices = self.indices(epoch)
            for first in range(step * batch_size, steps * batch_size, batch_size):
                yield epoch, indices[first : first + batch_size].tolist()
            epoch, step = epoch + 1, 0
