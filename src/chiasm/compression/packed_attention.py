"""Attention over quantised and plain rows in one softmax, without reading the former back.

With K = lo + step * code channel by channel, and likewise V,

    q . K = (q * step_K) . code + q . lo_K
    sum_t w_t V_t = step_V * sum_t w_t code_t + lo_V * sum_t w_t

(post-scaling, CalibQuant, arXiv 2502.14882), so that only codes are unpacked, some rows at a time.
Calibration: per query and head the logits of the quantised rows are mapped linearly from
[min, max] to [min, max - offset] before the softmax. It is the published map, which turns the
order of logits around that spread over less than the offset.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.compression.quantised import Piece, Quantised
from chiasm.layers import softmax_over

CODES, LOGITS = 2**22, 2**24
"""How many codes and logits are numbers at a time: what bounds the memory of a read."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Quantised keys and values of some rows of a batch, and the columns they stand for."""

    keys: Quantised
    values: Quantised
    column: Int[Tensor, "batch row"]
    """Numbers among all rows, -1 where a sample has fewer."""

    @property
    def bytes(self) -> int:
        return (
            self.keys.bytes + self.values.bytes + self.column.numel() * self.column.element_size()
        )

    def at(self, chosen: Int[Tensor, " sample"]) -> "Packed":
        """Other samples of the batch."""
        keys, values = self.keys.at(chosen), self.values.at(chosen)
        return replace(self, keys=keys, values=values, column=self.column[chosen])


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Keys and values as they are, and the columns they stand for."""

    keys: Float[Tensor, "batch kv_head row channel"]
    values: Float[Tensor, "batch kv_head row channel"]
    column: Int[Tensor, "batch row"]

    @property
    def bytes(self) -> int:
        held = (self.keys, self.values, self.column)
        return sum(t.numel() * t.element_size() for t in held)

    def at(self, chosen: Int[Tensor, " sample"]) -> "Plain":
        """Other samples of the batch."""
        return Plain(keys=self.keys[chosen], values=self.values[chosen], column=self.column[chosen])


def attend_packed(
    q: Float[Tensor, "batch head query channel"],
    packed: Sequence[Packed],
    plain: Plain,
    seen: Bool[Tensor, "batch query column"] | None,
    *,
    scale: float | None = None,
    calibration: float = 0.0,
) -> Float[Tensor, "batch head query channel"]:
    """What queries read of both kinds of rows; `seen` None: of all of them.

    A query that sees nothing reads zeros. Equals `attend_packed_slowly`.
    """
    batch, heads, queries, width = q.shape
    by = width**-0.5 if scale is None else scale
    columns = sum(block.column.shape[1] for block in packed) + plain.column.shape[1]
    step = max(1, LOGITS // max(1, batch * heads * columns))
    made = [
        _attend(
            q[:, :, start : start + step] * by,
            packed,
            plain,
            None if seen is None else seen[:, start : start + step],
            calibration,
        )
        for start in range(0, queries, step)
    ]
    return torch.cat(made, 2) if made else q


def _attend(
    q: Tensor, packed: Sequence[Packed], plain: Plain, seen: Tensor | None, calibration: float
) -> Tensor:
    """Some queries, scaled already."""
    kv_heads, groups = plain.keys.shape[1], q.shape[1] // plain.keys.shape[1]
    wide = torch.promote_types(q.dtype, torch.float32)
    asks = q.to(wide).unflatten(1, (kv_heads, groups)).flatten(2, 3)
    columns = torch.cat([*(block.column for block in packed), plain.column], 1)
    shown = visible(columns, seen, q.shape[2])[:, None, None]

    def by_query(logits: Tensor) -> Tensor:
        return logits.unflatten(2, (groups, -1))

    quantised = [_scores(asks, piece) for block in packed for piece in _pieces(block.keys, wide)]
    first = sum(block.column.shape[1] for block in packed)
    logits = by_query(torch.cat(quantised, -1)) if quantised else None
    own = by_query(asks @ plain.keys.to(wide).transpose(-1, -2))
    if logits is not None:
        logits = calibrated(logits, shown[..., :first], calibration)
        own = torch.cat([logits, own], -1)
    weights = softmax_over(own, shown).flatten(2, 3)
    read = weights[..., first:] @ plain.values.to(wide)
    start = 0
    for block in packed:
        for piece in _pieces(block.values, wide):
            here = weights[..., start + piece.rows.start : start + piece.rows.stop]
            read = read + _read(here, piece)
        start += block.column.shape[1]
    return read.unflatten(2, (groups, -1)).flatten(1, 2).to(q.dtype)


def _pieces(rows: Quantised, dtype: torch.dtype) -> Iterator[Piece]:
    most = max(1, CODES // max(1, rows.codes.shape[0] * rows.codes.shape[1] * rows.codes.shape[3]))
    return rows.pieces(most, dtype)


def _scores(asks: Tensor, piece: Piece) -> Tensor:
    """`[batch, kv_head, ask, row]`: (q * step) . code + q . lo, group by group."""
    of_group = asks.unsqueeze(2)
    scores = (of_group * piece.step.unsqueeze(-2)) @ piece.codes.transpose(-1, -2)
    scores = scores + of_group @ piece.low.unsqueeze(-1)
    return scores.transpose(2, 3).flatten(3)


def _read(weights: Tensor, piece: Piece) -> Tensor:
    """`[batch, kv_head, ask, channel]`: step * (w . code) + lo sum(w), added up over groups."""
    of_group = weights.unflatten(-1, (piece.codes.shape[2], -1)).transpose(2, 3)
    read = (of_group @ piece.codes) * piece.step.unsqueeze(-2)
    return (read + of_group.sum(-1, keepdim=True) * piece.low.unsqueeze(-2)).sum(2)


def calibrated(
    logits: Float[Tensor, "*at row"], shown: Bool[Tensor, "*#at row"], offset: float
) -> Float[Tensor, "*at row"]:
    """[min, max] of the visible logits mapped linearly to [min, max - offset]."""
    if not offset or not logits.shape[-1]:
        return logits
    most = torch.finfo(logits.dtype).max
    low = logits.masked_fill(~shown, most).amin(-1, keepdim=True)
    high = logits.masked_fill(~shown, -most).amax(-1, keepdim=True)
    spread = high - low
    share = (logits - low) / spread.where(spread > 0, 1.0)
    return (low + share * (spread - offset)).where(spread > 0, logits)


def visible(
    columns: Int[Tensor, "batch row"], seen: Bool[Tensor, "batch query column"] | None, queries: int
) -> Bool[Tensor, "batch query row"]:
    """Which of the rows that stand for these columns each query sees."""
    real = (columns >= 0).unsqueeze(1)
    if seen is None:
        return real.expand(-1, queries, -1)
    index = columns.long().clamp(min=0).unsqueeze(1).expand(-1, queries, -1)
    return seen.expand(columns.shape[0], -1, -1).gather(2, index) & real


def attend_packed_slowly(
    q: Float[Tensor, "batch head query channel"],
    packed: Sequence[Packed],
    plain: Plain,
    seen: Bool[Tensor, "batch query column"] | None,
    *,
    scale: float | None = None,
    calibration: float = 0.0,
) -> Float[Tensor, "batch head query channel"]:
    """The same from rows that are read back first; the reference of `attend_packed`."""
    repeats = q.shape[1] // plain.keys.shape[1]
    keys = torch.cat([*(block.keys.values() for block in packed), plain.keys], 2)
    values = torch.cat([*(block.values.values() for block in packed), plain.values], 2)
    columns = torch.cat([*(block.column for block in packed), plain.column], 1)
    first = columns.shape[1] - plain.column.shape[1]
    shown = visible(columns, seen, q.shape[2])[:, None]
    scores = q @ keys.repeat_interleave(repeats, 1).transpose(-1, -2)
    scores = scores * (scale if scale is not None else q.shape[-1] ** -0.5)
    visual = calibrated(scores[..., :first], shown[..., :first], calibration)
    scores = torch.cat([visual, scores[..., first:]], -1)
    return softmax_over(scores, shown) @ values.repeat_interleave(repeats, 1)
