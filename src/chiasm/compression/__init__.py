"""Question 6: what is kept? One verb, `keep`."""

from chiasm.compression.none import NoCompression
from chiasm.compression.pooled import PooledTokens
from chiasm.compression.query import QueryCompression

__all__ = ["NoCompression", "PooledTokens", "QueryCompression"]
