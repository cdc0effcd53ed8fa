"""Rows that stand for nothing are left out of a stack, and come back as zeros."""

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from chiasm.stream import Stream
from chiasm.stream.table import packed, take, unpacked


def without_vacant(
    stream: Stream, run: Callable[[Stream], Tensor]
) -> Float[Tensor, "batch token width"]:
    """What `run` makes of the valid rows alone, each at its place; itself where all are valid.

    A sample with fewer valid rows than another is filled up behind them.
    """
    stays = stream.table.valid
    if bool(stays.all()):
        return run(stream)
    slots, alive = packed(stays)
    fewer = replace(
        stream,
        embeddings=take(stream.embeddings, slots),
        table=stream.table.rows(slots).hiding(~alive),
        source=None if stream.source is None else take(stream.source, slots),
    )
    return unpacked(run(fewer), slots, alive, stays.shape[1])
