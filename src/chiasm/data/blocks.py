"""Batches of homogeneous blocks: each block from one source, the sources by weight.

Within a block a query's negatives are of its own task and hard, over the batch they are diverse
(VLM2Vec-V2, arXiv 2507.04590). Blocks of 1 are a plain mixture, a block as large as the batch makes
every batch of one source.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from chiasm.data.order import Order
from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A pure function of seed and step, as `Order` is of one source."""

    counts: Mapping[str, int]
    """Samples of each source."""
    weights: Mapping[str, float]
    batch: int
    block: int
    seed: int = 0

    def __post_init__(self) -> None:
        if set(self.counts) != set(self.weights) or not self.counts:
            raise Misuse(
                f"sources {', '.join(self.counts) or 'none'} and weights of "
                f"{', '.join(self.weights) or 'none'} differ; name the same ones"
            )
        if self.block < 1 or self.batch % self.block:
            raise Misuse(f"blocks of {self.block} do not fill a batch of {self.batch}")
        bad = [name for name, weight in self.weights.items() if not weight > 0]
        if bad:
            raise Misuse(f"weight {self.weights[bad[0]]} of {bad[0]}; give one above 0")
        for name, count in self.counts.items():
            if count < self.block:
                raise Misuse(f"{name} holds {count} samples, fewer than a block of {self.block}")

    def sources(self, step: int) -> np.ndarray:
        """The source of each block of a step, as a place among the sorted names."""
        names = sorted(self.weights)
        shares = np.array([self.weights[name] for name in names], dtype=np.float64).cumsum()
        bits = np.random.Philox(np.random.SeedSequence([self.seed, step]))
        drawn = (bits.random_raw(self.batch // self.block) >> np.uint64(11)) * 2.0**-53
        found = np.searchsorted(shares / shares[-1], drawn, side="right")
        return np.minimum(found, len(names) - 1)

    def batches(self, start_step: int = 0) -> Iterator[list[tuple[str, int]]]:
        """(source, sample) of every place of step `start_step` and those after it, without end.

        Each source is read in its own order, epoch after epoch; what does not fill a block at an
        epoch's end is left to the next.
        """
        names = sorted(self.counts)
        behind = np.zeros(len(names), dtype=np.int64)
        for step in range(start_step):
            behind += np.bincount(self.sources(step), minlength=len(names))
        readers = [
            Order(self.counts[name], self.seed).batches(int(done), self.block, drop_last=True)
            for name, done in zip(names, behind, strict=True)
        ]
        step = start_step
        while True:
            batch: list[tuple[str, int]] = []
            for source in self.sources(step):
                _, samples = next(readers[source])
                batch += [(names[source], sample) for sample in samples]
            yield batch
            step += 1
