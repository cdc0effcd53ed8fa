"""Some drawn pictures are taught without what was asked: guidance needs a model of both."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from chiasm.data.example import Example


@dataclass(frozen=True, kw_only=True)
class Unprompted:
    """Leaves out the questions of an example that draws with probability `text`, and its images
    with probability `images`, apart (classifier-free guidance, arXiv 2207.12598).

    The draw depends on seed, epoch and example id alone. Examples that draw nothing stay whole.
    """

    text: float
    images: float
    seed: int

    def choose(self, example: Example, epoch: int) -> Example:
        """The example as this epoch teaches it."""
        if not any(turn.picture is not None for turn in example.turns):
            return example
        name = int.from_bytes(hashlib.sha256(example.id.encode()).digest()[:8], "big")
        # One more word than `Balance` takes, or both would draw the same numbers.
        bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch, name, 1])).random_raw(2)
        of_text, of_images = ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).tolist()
        if of_images < self.images:
            turns = tuple(replace(turn, places=()) for turn in example.turns)
            example = replace(example, images=(), turns=turns)
        if of_text < self.text:
            turns = tuple(
                replace(turn, question="", places=(0,) * len(turn.places)) for turn in example.turns
            )
            example = replace(example, turns=turns)
        return example
