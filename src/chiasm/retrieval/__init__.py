"""Search: embedders and what they give, late interaction, index, rerank, query composition."""

from chiasm.retrieval.embedder import Embedder, Item, Role
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single, joined, take
from chiasm.retrieval.inverted import Inverted
from chiasm.retrieval.maxsim import maxsim, maxsim_all
from chiasm.retrieval.sentence_models import SentenceModel
from chiasm.retrieval.similarity import modality_maxsim, similarity
from chiasm.retrieval.storage import Int8, Plain, Signs
from chiasm.retrieval.tokens import Tokens

__all__ = [
    "Distribution",
    "Embedder",
    "Embedding",
    "Int8",
    "Inverted",
    "Item",
    "Multi",
    "Plain",
    "Role",
    "SentenceModel",
    "Signs",
    "Single",
    "Tokens",
    "joined",
    "maxsim",
    "maxsim_all",
    "modality_maxsim",
    "similarity",
    "take",
]
