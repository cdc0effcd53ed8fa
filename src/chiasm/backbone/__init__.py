"""The decoder: blocks with slots, caches, planned and masked execution. Imports no room."""

from chiasm.backbone.borrowed import Borrowed
from chiasm.backbone.cache import Cache, GrowingCache, StaticCache
from chiasm.backbone.chain import Chain
from chiasm.backbone.decoder import Decoder
from chiasm.backbone.hierarchy import Hierarchy, Stage
from chiasm.backbone.lockstep import LockStep
from chiasm.backbone.run import Permit, Run
from chiasm.backbone.stack import Stack
from chiasm.spec.reading import Execution

__all__ = [
    "Borrowed",
    "Cache",
    "Chain",
    "Decoder",
    "Execution",
    "GrowingCache",
    "Hierarchy",
    "LockStep",
    "Permit",
    "Run",
    "Stack",
    "Stage",
    "StaticCache",
]
