"""Question 3: where do tokens enter? In the sequence, as a layer's memory, or fused beforehand."""

from chiasm.fusion.gated import GatedCrossAttention
from chiasm.fusion.none import NoFusion
from chiasm.fusion.prefusion import PreFusion
from chiasm.fusion.sequence import InSequence, VisualPath
from chiasm.fusion.tied import TiedMemory

__all__ = [
    "GatedCrossAttention",
    "InSequence",
    "NoFusion",
    "PreFusion",
    "TiedMemory",
    "VisualPath",
]
