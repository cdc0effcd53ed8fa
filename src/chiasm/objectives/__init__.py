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
from chiasm.objectives.joint import TextAndFlow
from chiasm.objectives.joint_classes import JointClasses
from chiasm.objectives.next_token import NextToken

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
    "TextAndFlow",
    "UniformTimes",
    "same_items",
    "shifted",
]
