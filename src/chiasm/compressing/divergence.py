"""How far answers move when visual rows are read from their codes: KL against the exact logits.

The prompt but for its last row is prefilled exactly, as published; its last row and the answer's
rows then read the cache, as steps of decoding do.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.backbone import Cache
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import Inputs


@dataclass(frozen=True)
class Divergence:
    """Of the rows of one sample that predict a word of the answer."""

    kl: Float[Tensor, " row"]
    """sum_v p(v) ln(p(v) / q(v)), p exact, in nats."""
    agrees: Float[Tensor, " row"]
    """1 where both have the same best word."""


@torch.no_grad()
def divergence(model: Model, inputs: Inputs, cache: Cache) -> Divergence:
    """Exact logits against those of steps over `cache`, for one sample with its answer.

    Raises:
        Misuse: several samples, or none of its rows predicts an answer.
    """
    if inputs.ids.shape[0] != 1:
        raise Misuse(f"{inputs.ids.shape[0]} samples given; their answers start apart, give one")
    taught = torch.zeros(0) if inputs.labels is None else (inputs.labels[0] >= 0).nonzero()
    if not len(taught):
        raise Misuse("no row of the sample predicts an answer; collate it with teach=True")
    rows = taught.flatten()
    first = int(rows[0])
    exact = model(replace(inputs, labels=None))[0, rows]
    model(_rows(inputs, slice(0, first)), cache=cache)
    # The pictures are behind: the cache has what later rows read of them.
    later = _rows(inputs, slice(first, inputs.ids.shape[1]))
    rest = Inputs(ids=later.ids, table=later.table, source=torch.full_like(later.source, -1))
    rough = model(rest, cache=cache)[0, rows - first]
    return Divergence(kl_of(exact, rough), (exact.argmax(-1) == rough.argmax(-1)).float())


def kl_of(exact: Float[Tensor, "row word"], rough: Float[Tensor, "row word"]) -> Tensor:
    """KL(softmax(exact) || softmax(rough)) of each row."""
    p, q = exact.double().log_softmax(-1), rough.double().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def _rows(inputs: Inputs, rows: slice) -> Inputs:
    """A run of rows, with the pictures."""
    return replace(
        inputs,
        ids=inputs.ids[:, rows],
        table=inputs.table.cut(rows),
        source=inputs.source[:, rows],
        labels=None,
    )
