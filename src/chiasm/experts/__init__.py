"""Question 5: whose weights process a token? One verb, `route`."""

from chiasm.experts.shared import PlainWeights, SharedWeights

__all__ = ["PlainWeights", "SharedWeights"]
