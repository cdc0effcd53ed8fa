"""Question 4: who may see whom? One verb, `permit`, and the one place where masks are built."""

from chiasm.visibility.blocks import DraftsApart, LatentBlock, WithinBlock
from chiasm.visibility.causal import Causal, SameSegment, Window
from chiasm.visibility.items import BeforeItem, InUnit, ItemsSoFar, OwnTile, OwnUnit
from chiasm.visibility.materialise import block_mask, dense_mask, dense_permission, materialise
from chiasm.visibility.media import (
    Everything,
    NamedElseEverything,
    NamedItems,
    NotRole,
    PrecedingItem,
    VisualSeesQuestion,
)
from chiasm.visibility.prefix import PromptKeys, PromptSeesPrompt
from chiasm.visibility.sight import Sight
from chiasm.visibility.zorro import Pure

__all__ = [
    "BeforeItem",
    "InUnit",
    "ItemsSoFar",
    "OwnTile",
    "OwnUnit",
    "Causal",
    "DraftsApart",
    "Everything",
    "LatentBlock",
    "NamedElseEverything",
    "NamedItems",
    "NotRole",
    "PrecedingItem",
    "PromptKeys",
    "PromptSeesPrompt",
    "Pure",
    "SameSegment",
    "Sight",
    "VisualSeesQuestion",
    "Window",
    "WithinBlock",
    "block_mask",
    "dense_mask",
    "dense_permission",
    "materialise",
]
