"""Question 6: what is kept? One verb, `keep`."""

from chiasm.compression.exits import EarlyExits, leaving
from chiasm.compression.none import NoCompression
from chiasm.compression.pooled import PooledTokens
from chiasm.compression.query import QueryCompression
from chiasm.compression.region_scales import RegionScales
from chiasm.compression.threshold_search import Found, Trial, search
from chiasm.compression.thresholds import (
    ExitBudget,
    geometric,
    mean_cost,
    quantile_thresholds,
    solve_shares,
)

__all__ = [
    "EarlyExits",
    "ExitBudget",
    "Found",
    "NoCompression",
    "PooledTokens",
    "QueryCompression",
    "RegionScales",
    "Trial",
    "geometric",
    "leaving",
    "mean_cost",
    "quantile_thresholds",
    "search",
    "solve_shares",
]
