"""Question 5: whose weights process a token? One verb, `route`."""

from chiasm.experts.adapted import AdaptedWeights, merge_adapters
from chiasm.experts.adapters import GroupLoRA, LoRA, PromptLoRA, TaskLoRA
from chiasm.experts.attached import AdaptedLinears
from chiasm.experts.bank import AdapterBank
from chiasm.experts.bottleneck import Bottleneck, Place
from chiasm.experts.by_group import WeightsByGroup
from chiasm.experts.depths import MixtureOfDepths
from chiasm.experts.dora import DoRA
from chiasm.experts.fine_grained import FineGrained
from chiasm.experts.head_gate import HeadGate
from chiasm.experts.hierarchical import Hierarchical
from chiasm.experts.mixture import MixtureOfExperts
from chiasm.experts.penalties import Balance, ModalityBand, Prediction, Variation, ZLoss
from chiasm.experts.router import Router
from chiasm.experts.routes import blocks, everyone
from chiasm.experts.selection import (
    ExpertChoice,
    FixedShares,
    SoftMixture,
    TopLogits,
    TopProbabilities,
)
from chiasm.experts.shared import PlainWeights, SharedWeights
from chiasm.experts.sites import BLOCK
from chiasm.experts.timestep import TimestepExperts
from chiasm.experts.towers import DualTower, Keys
from chiasm.experts.vision_inside import AddedVision, MixedVision, VisionInside
from chiasm.experts.visual_memory import VisualMemory

__all__ = [
    "BLOCK",
    "AddedVision",
    "AdaptedLinears",
    "AdaptedWeights",
    "AdapterBank",
    "Balance",
    "Bottleneck",
    "DoRA",
    "DualTower",
    "ExpertChoice",
    "FineGrained",
    "FixedShares",
    "GroupLoRA",
    "HeadGate",
    "Hierarchical",
    "Keys",
    "LoRA",
    "MixedVision",
    "MixtureOfDepths",
    "MixtureOfExperts",
    "ModalityBand",
    "Place",
    "PlainWeights",
    "Prediction",
    "PromptLoRA",
    "Router",
    "SharedWeights",
    "SoftMixture",
    "TaskLoRA",
    "TimestepExperts",
    "TopLogits",
    "TopProbabilities",
    "Variation",
    "VisionInside",
    "VisualMemory",
    "WeightsByGroup",
    "ZLoss",
    "blocks",
    "everyone",
    "merge_adapters",
]
