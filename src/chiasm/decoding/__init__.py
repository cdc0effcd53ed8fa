"""Generation: one loop over any model, one or many questions of a sample at once."""

from chiasm.decoding.flow import Guidance, Rescale, euler, times
from chiasm.decoding.generate import Generated, generate, steps
from chiasm.decoding.sampling import Sampling

__all__ = [
    "Generated",
    "Guidance",
    "Rescale",
    "Sampling",
    "euler",
    "generate",
    "steps",
    "times",
]
