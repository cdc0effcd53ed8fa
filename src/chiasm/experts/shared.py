"""The null answer: one set of weights processes every token."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SharedWeights:
    """All rows share the block's weights; every parameter is active for every token."""

    active_share: float = 1.0
    """Share of the decoder's parameters that one token passes through."""
