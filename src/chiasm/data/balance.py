"""Which of an example's independent questions a step teaches: few, and rare answers first."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from chiasm.data.example import Example


@dataclass(frozen=True)
class Balance:
    """At most `limit` independent questions of an example, drawn without replacement.

    A question's weight is one over its answer's frequency in the data, so that two answers which
    make up most of a data set (yes and no) do not make up most of every gradient. The draw is the
    `limit` largest of `u^(1 / weight)`, u uniform (Efraimidis and Spirakis 2006), and depends on
    seed, epoch and example id alone. Conversations stay whole.
    """

    limit: int
    frequencies: Mapping[str, int]
    seed: int

    @classmethod
    def of(cls, examples: Iterable[Example], *, limit: int, seed: int) -> "Balance":
        """The balance of a data set."""
        counts = Counter(turn.answer for example in examples for turn in example.turns)
        return cls(limit, counts, seed)

    def choose(self, example: Example, epoch: int) -> Example:
        """The example with the questions of this epoch, in their own order."""
        count = len(example.turns)
        if not example.independent or count <= self.limit:
            return example
        name = int.from_bytes(hashlib.sha256(example.id.encode()).digest()[:8], "big")
        bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch, name])).random_raw(count)
        uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        frequencies = np.array([self.frequencies.get(turn.answer, 1) for turn in example.turns])
        # log u / weight orders as u^(1 / weight) does, without underflow.
        keys = np.log(uniform + 2.0**-54) * frequencies
        kept = np.sort(np.argsort(-keys, kind="stable")[: self.limit])
        return replace(example, turns=tuple(example.turns[at] for at in kept))
