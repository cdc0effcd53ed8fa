"""Generation: one loop over any model, one or many questions of a sample at once."""

from chiasm.decoding.draw import Drawing, Prompts, draw
from chiasm.decoding.flow import Guidance, Rescale, euler, times
from chiasm.decoding.generate import Generated, generate, steps
from chiasm.decoding.sampling import Sampling
from chiasm.decoding.spoken import Spoken

__all__ = [
    "Drawing",
    "Generated",
    "Guidance",
    "Prompts",
    "Rescale",
    "Sampling",
    "Spoken",
    "draw",
    "euler",
    "generate",
    "steps",
    "times",
]
