"""Question 3: where do tokens enter? In the sequence, as a layer's memory, or fused beforehand."""

from chiasm.fusion.added_boxes import AddedBoxes
from chiasm.fusion.between import DualCrossAttention
from chiasm.fusion.coattention import CoAttention
from chiasm.fusion.cross_layers import CrossLayers
from chiasm.fusion.delayed import DelayedKeys
from chiasm.fusion.gated import GatedCrossAttention
from chiasm.fusion.gated_blocks import GatedBlocks
from chiasm.fusion.hierarchical import HierarchicalReads
from chiasm.fusion.hyper import HyperAttention, Merge
from chiasm.fusion.input_adapters import InputAdapters
from chiasm.fusion.joined_features import JoinedFeatures
from chiasm.fusion.late_class import LateClassTokens
from chiasm.fusion.lockstep_reads import LockStepReads
from chiasm.fusion.modular_state import ModularState
from chiasm.fusion.mutual_reads import MutualReads
from chiasm.fusion.none import NoFusion
from chiasm.fusion.patches_of_patches import PatchesOfPatches
from chiasm.fusion.prefix import GatedPrefix
from chiasm.fusion.prefusion import PreFusion
from chiasm.fusion.residual import ResidualAttention
from chiasm.fusion.scene_words import SceneWords
from chiasm.fusion.sequence import InSequence, VisualPath
from chiasm.fusion.set_pooling import SetPooling
from chiasm.fusion.single_stream import SingleStream
from chiasm.fusion.slow_fast import SlowFast
from chiasm.fusion.thumbnail import ThumbnailInline
from chiasm.fusion.tied import TiedMemory
from chiasm.fusion.two_widths import TwoWidths
from chiasm.fusion.vacant import VacantRows
from chiasm.fusion.word_encoder import WordEncoder

__all__ = [
    "AddedBoxes",
    "GatedPrefix",
    "InputAdapters",
    "LateClassTokens",
    "DelayedKeys",
    "DualCrossAttention",
    "ThumbnailInline",
    "CoAttention",
    "CrossLayers",
    "GatedBlocks",
    "GatedCrossAttention",
    "HierarchicalReads",
    "HyperAttention",
    "InSequence",
    "JoinedFeatures",
    "LockStepReads",
    "Merge",
    "ModularState",
    "MutualReads",
    "NoFusion",
    "SceneWords",
    "WordEncoder",
    "PatchesOfPatches",
    "PreFusion",
    "ResidualAttention",
    "SetPooling",
    "SingleStream",
    "SlowFast",
    "TiedMemory",
    "TwoWidths",
    "VacantRows",
    "VisualPath",
]
