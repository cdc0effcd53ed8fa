"""A library: a store, the embedder that filled it, indexing and search."""

from chiasm.library.indexing import Report, Watch
from chiasm.library.library import Library
from chiasm.library.reranking.opened import reranker_of
from chiasm.library.reranking.reranker import Reranker

__all__ = ["Library", "Report", "Reranker", "Watch", "reranker_of"]
