"""Image rows as classes: which row a class names, what it scores, what its id is read as.

Class j is the image row with j others before it in reading order (of the shared prefix and the
reader's own segment). A row points at image rows that stand before it; the id V + j is read as the
embedding with which that row entered. Keys, embeddings and identities of image rows live in the
cache, written when they enter: a cached step knows them.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.backbone import Cache
from chiasm.errors import Misuse
from chiasm.stream import Inputs, TokenTable
from chiasm.stream.table import take
from chiasm.visibility import Causal, dense_mask

_ROWS, _KEYS, _ENTERED = "pointed rows", "pointed keys", "pointed embeddings"


class Points(Protocol):
    """What is needed of a head."""

    def keys(self, hidden: Tensor, entered: Tensor) -> Tensor: ...

    def point(self, hidden: Tensor, keys: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Places:
    """The image rows of a call, packed to the left of each sample."""

    index: Int[Tensor, "batch place"]
    """Where they stand among the call's rows."""
    table: TokenTable
    """Who they are; not valid where a sample has fewer than the most."""


def places(inputs: Inputs) -> Places | None:
    """The image rows of these inputs; None where there is none."""
    held = (inputs.source >= 0) & inputs.table.valid
    most = int(held.sum(1).max())
    if not most:
        return None
    index = (~held).long().argsort(dim=1, stable=True)[:, :most]
    return Places(index, inputs.table.rows(index).hiding(~take(held, index)))


def numbers(table: TokenTable) -> Int[Tensor, "batch place"]:
    """The class of every image row: how many stand before it."""
    return (dense_mask(Causal(), table, table).sum(-1) - 1).clamp(min=0)


def read_back(
    embeddings: Float[Tensor, "batch token width"],
    inputs: Inputs,
    vocabulary: int,
    cache: Cache | None,
) -> Float[Tensor, "batch token width"]:
    """Rows whose id is V + j, as the embedding of image row j.

    Raises Misuse for an id whose image row is not among those before it.
    """
    named = (inputs.ids >= vocabulary) & inputs.table.valid & (inputs.source < 0)
    if not bool(named.any()):
        return embeddings
    own = places(inputs)
    table = None if own is None else own.table
    entered = None if own is None else take(embeddings, own.index)
    if cache is not None and _ROWS in cache.tables:
        (before,) = cache.memory[_ENTERED]
        table = cache.tables[_ROWS] if table is None else cache.tables[_ROWS].append(table)
        entered = before if entered is None else torch.cat([before, entered], 1)
    wanted = inputs.ids - vocabulary
    if table is None or entered is None:
        raise Misuse(f"an id points at image row {int(wanted[named][0])}, but no image was shown")
    fits = numbers(table).unsqueeze(1) == wanted.unsqueeze(-1)
    fits = fits & dense_mask(Causal(), inputs.table, table)
    lost = named & ~fits.any(-1)
    if bool(lost.any()):
        shown = int(table.valid.sum(1).max())
        raise Misuse(
            f"an id points at image row {int(wanted[lost][0])}, but {shown} rows were shown, or it "
            "stands before that row; ids of image rows start at the vocabulary's size"
        )
    found = take(entered, fits.long().argmax(-1))
    return torch.where(named.unsqueeze(-1), found, embeddings)


def with_pointers(
    head: Points,
    hidden: Float[Tensor, "batch token width"],
    entered: Float[Tensor, "batch token width"],
    inputs: Inputs,
    classes: int,
    cache: Cache | None,
) -> Float[Tensor, "batch token read"]:
    """Hidden states, each followed by its scores of `classes` image rows.

    Raises Misuse where more image rows are shown than there are classes.
    """
    table, keys = _remembered(head, hidden, entered, inputs, cache)
    if table is None or keys is None:
        none = hidden.new_zeros(*hidden.shape[:2], classes)
        return torch.cat([hidden, none.log()], -1)
    number = numbers(table)
    if int(number.max()) >= classes:
        raise Misuse(
            f"{int(number.max()) + 1} image rows are shown, but the head has {classes} pointers; "
            "show fewer or smaller images"
        )
    seen = dense_mask(Causal(), inputs.table, table)
    return torch.cat([hidden, scattered(head.point(hidden, keys), seen, number, classes)], -1)


def scattered(
    scores: Float[Tensor, "batch row place"],
    seen: Bool[Tensor, "batch row place"],
    number: Int[Tensor, "batch place"],
    classes: int,
) -> Float[Tensor, "batch row class"]:
    """Each seen score under its class, -inf (the logarithm of none) under the others."""
    index = number.unsqueeze(1).expand_as(scores)
    zeros = scores.new_zeros(*scores.shape[:2], classes)
    said = zeros.scatter_add(-1, index, scores.masked_fill(~seen, 0.0))
    return said + zeros.scatter_add(-1, index, seen.to(scores.dtype)).log()


def _remembered(
    head: Points, hidden: Tensor, entered: Tensor, inputs: Inputs, cache: Cache | None
) -> tuple[TokenTable | None, Tensor | None]:
    """Identities and keys of all image rows so far; this call's are added to the cache."""
    own = places(inputs)
    if own is None:
        if cache is None or _ROWS not in cache.tables:
            return None, None
        (keys,) = cache.memory[_KEYS]
        return cache.tables[_ROWS], keys
    values = take(entered, own.index)
    keys = head.keys(take(hidden, own.index), values)
    if cache is None:
        return own.table, keys
    if _ROWS in cache.tables:
        (old_keys,), (old_values,) = cache.memory[_KEYS], cache.memory[_ENTERED]
        keys, values = torch.cat([old_keys, keys], 1), torch.cat([old_values, values], 1)
    cache.memory[_KEYS], cache.memory[_ENTERED] = (keys,), (values,)
    return cache.extend(_ROWS, own.table), keys
