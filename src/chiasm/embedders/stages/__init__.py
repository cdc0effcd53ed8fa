"""The five stages of an embedder, and what it is taught: values with their modules."""

from chiasm.embedders.stages.align import Align, Everyone, SameKind
from chiasm.embedders.stages.backbone import Backbone, Prompt
from chiasm.embedders.stages.capsules import CapsuleHead
from chiasm.embedders.stages.compared_beside import ComparedBeside
from chiasm.embedders.stages.conditioned import ConditionedPatches
from chiasm.embedders.stages.encoded_together import EncodedTogether
from chiasm.embedders.stages.fuse import Alone, Apart, Joined, Summed
from chiasm.embedders.stages.gaussian import MeanAndDeviation
from chiasm.embedders.stages.hard_matches import HardMatches
from chiasm.embedders.stages.inverted import Native, TextualInversion, VisualInversion
from chiasm.embedders.stages.maps import ConvolutionalMap
from chiasm.embedders.stages.margin import ClassesAndMargin
from chiasm.embedders.stages.match import MatchPairs
from chiasm.embedders.stages.modality_aware import ModalityAware
from chiasm.embedders.stages.output import GaussianVector, ManyVectors, OneVector, Output
from chiasm.embedders.stages.pictures import Pictures
from chiasm.embedders.stages.project import (
    ActivatedHead,
    IdentityStart,
    LinearHead,
    MLPHead,
    Unprojected,
)
from chiasm.embedders.stages.projectors import ProjectedTokens, ResidualHead
from chiasm.embedders.stages.prompted import PromptedPair
from chiasm.embedders.stages.read_together import ReadTogether
from chiasm.embedders.stages.recurrent import RecurrentLayers
from chiasm.embedders.stages.reduce import (
    AtLayer,
    EveryToken,
    FirstToken,
    LastToken,
    LatentAttention,
    MeanToken,
)
from chiasm.embedders.stages.score import (
    AnchorCosine,
    Cosine,
    LateInteraction,
    MatchProbability,
    ModalityLate,
    Volume,
)
from chiasm.embedders.stages.sentences import Sentences
from chiasm.embedders.stages.space_time import Clips
from chiasm.embedders.stages.temporal import AdaptedFrames, AdaptedWords
from chiasm.embedders.stages.terms import (
    Agreement,
    Classes,
    KeepStructure,
    NestedSizes,
    OtherOutput,
)
from chiasm.embedders.stages.tower import Tower
from chiasm.embedders.stages.unified import UnifiedPair

__all__ = [
    "ActivatedHead",
    "AdaptedFrames",
    "AdaptedWords",
    "Agreement",
    "Align",
    "Alone",
    "AnchorCosine",
    "Apart",
    "AtLayer",
    "Backbone",
    "CapsuleHead",
    "Classes",
    "ClassesAndMargin",
    "Clips",
    "ComparedBeside",
    "ConditionedPatches",
    "ConvolutionalMap",
    "Cosine",
    "EncodedTogether",
    "EveryToken",
    "Everyone",
    "FirstToken",
    "GaussianVector",
    "HardMatches",
    "IdentityStart",
    "Joined",
    "KeepStructure",
    "LastToken",
    "LateInteraction",
    "LatentAttention",
    "LinearHead",
    "MLPHead",
    "ManyVectors",
    "MatchPairs",
    "MatchProbability",
    "MeanAndDeviation",
    "MeanToken",
    "ModalityAware",
    "ModalityLate",
    "Native",
    "NestedSizes",
    "OneVector",
    "OtherOutput",
    "Output",
    "Pictures",
    "ProjectedTokens",
    "Prompt",
    "PromptedPair",
    "ReadTogether",
    "RecurrentLayers",
    "ResidualHead",
    "SameKind",
    "Sentences",
    "Summed",
    "TextualInversion",
    "Tower",
    "UnifiedPair",
    "Unprojected",
    "VisualInversion",
    "Volume",
]
