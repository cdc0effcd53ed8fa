"""Question 8, its pure half: losses. One verb, `judge`."""

from chiasm.objectives.actions import Imitation
from chiasm.objectives.contrastive import Contrastive, same_items
from chiasm.objectives.flow import (
    Direction,
    Draft,
    GroupTimes,
    LogitNormalTimes,
    RectifiedFlow,
    UniformTimes,
    shifted,
)
from chiasm.objectives.hardest import hardest_in_batch
from chiasm.objectives.joint import TextAndFlow
from chiasm.objectives.joint_classes import JointClasses
from chiasm.objectives.matching import SoftMatching, log_match
from chiasm.objectives.next_token import NextToken
from chiasm.objectives.structure import Structure
from chiasm.objectives.volume import pairwise_volume, volume

__all__ = [
    "Contrastive",
    "Direction",
    "Draft",
    "GroupTimes",
    "Imitation",
    "JointClasses",
    "LogitNormalTimes",
    "NextToken",
    "RectifiedFlow",
    "SoftMatching",
    "Structure",
    "TextAndFlow",
    "UniformTimes",
    "hardest_in_batch",
    "log_match",
    "pairwise_volume",
    "same_items",
    "shifted",
    "volume",
]
