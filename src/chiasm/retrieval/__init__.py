"""Search: embedders and what they give, late interaction, index, rerank, query composition.

Names are imported when first used: processes that only read files know units without torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chiasm.retrieval.embedder import Embedder, Item, Role
    from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single, joined, take
    from chiasm.retrieval.inverted import Inverted
    from chiasm.retrieval.maxsim import maxsim, maxsim_all
    from chiasm.retrieval.sentence_models import SentenceModel
    from chiasm.retrieval.similarity import modality_maxsim, similarity
    from chiasm.retrieval.storage import Int8, Plain, Signs
    from chiasm.retrieval.tokens import Tokens

_LAZY = {
    **dict.fromkeys(("Embedder", "Item", "Role"), "embedder"),
    **dict.fromkeys(
        ("Distribution", "Embedding", "Multi", "Single", "joined", "take"), "embedding"
    ),
    "Inverted": "inverted",
    **dict.fromkeys(("maxsim", "maxsim_all"), "maxsim"),
    "SentenceModel": "sentence_models",
    **dict.fromkeys(("modality_maxsim", "similarity"), "similarity"),
    **dict.fromkeys(("Int8", "Plain", "Signs"), "storage"),
    "Tokens": "tokens",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'chiasm.retrieval' has no attribute {name!r}")
    return getattr(import_module(f"chiasm.retrieval.{_LAZY[name]}"), name)


class _Package(ModuleType):
    """Importing a module binds its name here; two hold a function of that name, which is meant."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _LAZY):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
