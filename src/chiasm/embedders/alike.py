"""Which queries and documents belong together, beyond those of one pair."""

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

Told = tuple[str, Hashable]
"""The name of a pair, and what a task makes of it."""


def together(queries: Sequence[Told], documents: Sequence[Told]) -> Bool[Tensor, "query document"]:
    """True where both are of one name, where the document equals the query's own, or where the
    document's own query equals this one. The n-th document is the n-th query's own; those after
    the last query have none.
    """
    count = len(queries)
    names = numbered([name for name, _ in (*queries, *documents)])
    made = numbered([one for _, one in documents])
    asked = numbered([one for _, one in queries])
    found = names[:count, None] == names[count:]
    found |= made[:count, None] == made
    found[:, :count] |= asked[:, None] == asked
    return found


def numbered(keys: Sequence[Hashable]) -> Int[Tensor, " key"]:
    """Equal keys have equal numbers."""
    known: dict[Hashable, int] = {}
    return torch.tensor([known.setdefault(key, len(known)) for key in keys])
