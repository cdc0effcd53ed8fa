"""Question 2: how do features become tokens of the host? One verb, `connect`."""

from chiasm.connectors.adapted import AdaptedConnector
from chiasm.connectors.added_detail import AddedDetail
from chiasm.connectors.aligned_queries import AlignedQueries
from chiasm.connectors.aria import AriaConnector
from chiasm.connectors.asked_words import HostWords, TextTower
from chiasm.connectors.blockwise import Blockwise
from chiasm.connectors.bridge import Bridge
from chiasm.connectors.c_abstractor import CAbstractor
from chiasm.connectors.class_tokens import ClassTokens
from chiasm.connectors.code_embedding import CodeEmbedding
from chiasm.connectors.dual_path import DualPath
from chiasm.connectors.fused import FusedMLP
from chiasm.connectors.idefics2 import Idefics2Connector
from chiasm.connectors.layerwise import PerLayer
from chiasm.connectors.ldp import LDP, PooledLDP
from chiasm.connectors.learned_rows import LearnedRows
from chiasm.connectors.level_maps import LevelMaps
from chiasm.connectors.mamba_scan import MambaScan
from chiasm.connectors.marked import Marked
from chiasm.connectors.mixed_halves import MixedHalves
from chiasm.connectors.mlp import MLP, Linear, NormedMLP
from chiasm.connectors.modulated import Modulated
from chiasm.connectors.multiway import MultiwayQueries
from chiasm.connectors.none import NoConnector
from chiasm.connectors.patch_embedding import PatchEmbedding
from chiasm.connectors.perceiver import PerceiverResampler
from chiasm.connectors.pooled import MLPThenPool, PoolThenMLP
from chiasm.connectors.qformer import QFormer
from chiasm.connectors.query_ladder import QueryLadder
from chiasm.connectors.question_aware import QuestionAware
from chiasm.connectors.raw import RawFeatures
from chiasm.connectors.regions import Regions
from chiasm.connectors.routed_experts import RoutedProjection
from chiasm.connectors.row_breaks import RowBreaks
from chiasm.connectors.shared_latents import SharedLatents
from chiasm.connectors.shuffle import ShuffleLinear, ShuffleMLP, ShuffleSwiGLU
from chiasm.connectors.strided import StridedConv
from chiasm.connectors.temporal_scan import TemporalScan
from chiasm.connectors.tiled_patches import TiledPatches
from chiasm.connectors.timed import Timed
from chiasm.connectors.token_mixing import TokenMixing
from chiasm.connectors.transformer_adapter import TransformerAdapter
from chiasm.connectors.unchanged import Unchanged
from chiasm.connectors.visual_table import VisualTable
from chiasm.connectors.weighed_encoders import WeighedEncoders
from chiasm.connectors.windowed_queries import WindowedQueries
from chiasm.connectors.word_mixture import WordMixture
from chiasm.connectors.zorro_hip import Stage, ZorroHiP

__all__ = [
    "AdaptedConnector",
    "AddedDetail",
    "AlignedQueries",
    "Blockwise",
    "Bridge",
    "CAbstractor",
    "ClassTokens",
    "LDP",
    "LevelMaps",
    "PooledLDP",
    "Marked",
    "HostWords",
    "TextTower",
    "Modulated",
    "TokenMixing",
    "QFormer",
    "QueryLadder",
    "LearnedRows",
    "CodeEmbedding",
    "DualPath",
    "AriaConnector",
    "MLP",
    "MixedHalves",
    "MultiwayQueries",
    "FusedMLP",
    "Idefics2Connector",
    "Linear",
    "MambaScan",
    "NoConnector",
    "NormedMLP",
    "PatchEmbedding",
    "PerLayer",
    "PerceiverResampler",
    "MLPThenPool",
    "PoolThenMLP",
    "QuestionAware",
    "RawFeatures",
    "Regions",
    "RoutedProjection",
    "RowBreaks",
    "SharedLatents",
    "ShuffleLinear",
    "ShuffleMLP",
    "ShuffleSwiGLU",
    "Stage",
    "StridedConv",
    "TemporalScan",
    "TiledPatches",
    "Timed",
    "TransformerAdapter",
    "ZorroHiP",
    "Unchanged",
    "VisualTable",
    "WeighedEncoders",
    "WindowedQueries",
    "WordMixture",
]
