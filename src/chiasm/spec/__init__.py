"""What a system states: component answers, the system itself, geometry, the registry."""

from chiasm.spec.answer import (
    Browsing,
    Compression,
    Conditioned,
    Connector,
    Encoder,
    Experts,
    FeedForwards,
    Fusion,
    Head,
    Objective,
    Positions,
)
from chiasm.spec.answers import Answers, Scale, scale_named
from chiasm.spec.geometry import Geometry, geometry
from chiasm.spec.host import Host
from chiasm.spec.latent import Context, DrawsNothing, Latent
from chiasm.spec.pointers import PointsNowhere
from chiasm.spec.registry import register, registered, system
from chiasm.spec.state_space import StateSpace
from chiasm.spec.system import Card, System, derive, differences
from chiasm.spec.teaching import Stage, Teaching
from chiasm.spec.tiles import (
    AnyResolution,
    FittedTiles,
    GridTiles,
    SharedBudget,
    Tags,
    Tiles,
    Windows,
)
from chiasm.spec.views import (
    EqualArea,
    Fixed,
    Frames,
    NativeResolution,
    NoViews,
    Size,
    View,
    Views,
    WholePatches,
)
from chiasm.spec.work import Work

__all__ = [
    "AnyResolution",
    "GridTiles",
    "SharedBudget",
    "Tags",
    "Windows",
    "Answers",
    "Card",
    "Compression",
    "Browsing",
    "Conditioned",
    "Connector",
    "Context",
    "DrawsNothing",
    "Encoder",
    "Experts",
    "FeedForwards",
    "EqualArea",
    "FittedTiles",
    "Fixed",
    "Frames",
    "Fusion",
    "Geometry",
    "Head",
    "Host",
    "Latent",
    "NativeResolution",
    "NoViews",
    "Objective",
    "PointsNowhere",
    "Positions",
    "Scale",
    "Size",
    "Stage",
    "StateSpace",
    "System",
    "Teaching",
    "View",
    "Views",
    "WholePatches",
    "Work",
    "derive",
    "differences",
    "geometry",
    "register",
    "registered",
    "scale_named",
    "system",
    "Tiles",
]
