"""Neural primitives that several rooms share: attention over permitted pairs, rotary, MLPs."""

from chiasm.layers.attention import attend, attend_slowly, merge_heads, split_heads
from chiasm.layers.feedforward import GatedMLP, normed_feed_forward
from chiasm.layers.positions import sine_positions
from chiasm.layers.rotary import Rotary, RotaryTables, rotate

__all__ = [
    "GatedMLP",
    "Rotary",
    "RotaryTables",
    "attend",
    "attend_slowly",
    "merge_heads",
    "normed_feed_forward",
    "rotate",
    "sine_positions",
    "split_heads",
]
