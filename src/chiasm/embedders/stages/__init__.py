"""The five stages of an embedder, and what it is taught: values with their modules."""

from chiasm.embedders.stages.align import Align, Everyone, SameKind
from chiasm.embedders.stages.backbone import Backbone, Prompt
from chiasm.embedders.stages.fuse import Alone, Apart, Joined, Summed
from chiasm.embedders.stages.maps import ConvolutionalMap
from chiasm.embedders.stages.match import MatchPairs
from chiasm.embedders.stages.output import GaussianVector, ManyVectors, OneVector, Output
from chiasm.embedders.stages.pictures import Pictures
from chiasm.embedders.stages.project import (
    ActivatedHead,
    IdentityStart,
    LinearHead,
    MLPHead,
    Unprojected,
)
from chiasm.embedders.stages.reduce import (
    EveryToken,
    FirstToken,
    LastToken,
    LatentAttention,
    MeanToken,
)
from chiasm.embedders.stages.score import (
    Cosine,
    LateInteraction,
    MatchProbability,
    ModalityLate,
    Volume,
)
from chiasm.embedders.stages.sentences import Sentences
from chiasm.embedders.stages.tower import Tower

__all__ = [
    "ActivatedHead",
    "Align",
    "Alone",
    "Apart",
    "Backbone",
    "ConvolutionalMap",
    "Cosine",
    "Everyone",
    "EveryToken",
    "FirstToken",
    "GaussianVector",
    "IdentityStart",
    "Joined",
    "LastToken",
    "LateInteraction",
    "LatentAttention",
    "LinearHead",
    "MLPHead",
    "ManyVectors",
    "MatchPairs",
    "MatchProbability",
    "MeanToken",
    "ModalityLate",
    "OneVector",
    "Output",
    "Pictures",
    "Prompt",
    "SameKind",
    "Sentences",
    "Summed",
    "Tower",
    "Unprojected",
    "Volume",
]
