"""Generation: one loop over any model, one or many questions of a sample at once."""

from chiasm.decoding.generate import Generated, generate, steps
from chiasm.decoding.sampling import Sampling

__all__ = ["Generated", "Sampling", "generate", "steps"]
