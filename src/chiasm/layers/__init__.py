"""Neural primitives that several rooms share: attention over pairs, scans, rotary, MLPs."""

from chiasm.layers.attention import (
    attend,
    attend_slowly,
    attention_map,
    logits_over,
    merge_heads,
    softmax_over,
    split_heads,
)
from chiasm.layers.feedforward import FeedForward, GatedMLP, normed_feed_forward
from chiasm.layers.grouped import GroupedLinear, grouped_mm, grouped_mm_slowly
from chiasm.layers.latent_read import LatentRead
from chiasm.layers.mamba2 import BidirectionalMamba2, CrossMamba2, Mamba2
from chiasm.layers.positions import sine_positions
from chiasm.layers.rotary import Rotary, RotaryTables, rotate
from chiasm.layers.scan_orders import RASTER, ScanOrder
from chiasm.layers.selective import ScanState
from chiasm.layers.times import FREQUENCIES, TimeEmbedding, time_group, waves
from chiasm.layers.vectors import Kind, Masked, Prunable, Vectors, cut
from chiasm.layers.weights import LayerNorm, Linear, RMSNorm

__all__ = [
    "BidirectionalMamba2",
    "CrossMamba2",
    "FeedForward",
    "FREQUENCIES",
    "GatedMLP",
    "GroupedLinear",
    "Kind",
    "LayerNorm",
    "Linear",
    "LatentRead",
    "Mamba2",
    "Masked",
    "Prunable",
    "RASTER",
    "RMSNorm",
    "Rotary",
    "RotaryTables",
    "ScanOrder",
    "ScanState",
    "TimeEmbedding",
    "Vectors",
    "attend",
    "attend_slowly",
    "attention_map",
    "logits_over",
    "softmax_over",
    "cut",
    "grouped_mm",
    "grouped_mm_slowly",
    "merge_heads",
    "normed_feed_forward",
    "rotate",
    "sine_positions",
    "split_heads",
    "time_group",
    "waves",
]
