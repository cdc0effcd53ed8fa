"""Rows quantised channel by channel, and held as packed codes.

L = 2^b - 1, lo and hi the endpoints of a channel over a group of rows, step = (hi - lo) / L;
code = round(clamp((x - lo) / step, 0, L)), and a row is read back as lo + step * code. That is
CalibQuant's rule (arXiv 2502.14882) with -lo / step for its zero point: lo itself is held, since a
zero point far from 0 loses more in 16 bits than lo does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from chiasm.compression.bits import check_bits, pack, unpack
from chiasm.compression.endpoints import Endpoints, Scaled
from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How rows are quantised."""

    bits: int
    endpoints: Endpoints = field(default_factory=Scaled)
    group: int | None = None
    """Rows, in order, that share endpoints; None: all of them."""

    def __post_init__(self) -> None:
        check_bits(self.bits)
        per = 8 // self.bits
        if self.group is not None and (self.group < 1 or self.group % per):
            raise Misuse(
                f"groups of {self.group} rows do not fill bytes of {per} codes; "
                f"use a multiple of {per}"
            )


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some rows on their way through a computation: whole groups, or a part of one."""

    rows: slice
    codes: Float[Tensor, "batch kv_head group row channel"]
    step: Float[Tensor, "batch kv_head group channel"]
    low: Float[Tensor, "batch kv_head group channel"]


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """Packed rows and what they are read with, step and lo in the rows' own type."""

    codes: UInt8[Tensor, "batch kv_head byte channel"]
    step: Float[Tensor, "batch kv_head group channel"]
    low: Float[Tensor, "batch kv_head group channel"]
    bits: int
    rows: int
    group: int
    """Rows of a group; the last may have fewer."""

    @property
    def scale_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.step, self.low))

    @property
    def bytes(self) -> int:
        """Of the codes, the unused bits of last bytes included, and of steps and los."""
        return self.codes.numel() + self.scale_bytes

    def at(self, chosen: Int[Tensor, " sample"]) -> "Quantised":
        """Other samples of the batch."""
        codes, step, low = (t[chosen] for t in (self.codes, self.step, self.low))
        return replace(self, codes=codes, step=step, low=low)

    def values(self) -> Float[Tensor, "batch kv_head row channel"]:
        """All rows at full precision, in the type of the steps."""
        made = [
            (p.low.unsqueeze(-2) + p.step.unsqueeze(-2) * p.codes).flatten(2, 3)
            for p in self.pieces(self.rows, _wide(self.step.dtype))
        ]
        return torch.cat(made, 2).to(self.step.dtype)

    def pieces(self, most: int, dtype: torch.dtype) -> Iterator[Piece]:
        """The rows in order, about `most` at a time, codes, steps and los as numbers of `dtype`."""
        per, whole = 8 // self.bits, self.rows // self.group * self.group
        if self.group <= most:
            size = most // self.group * self.group
            starts = [*range(0, whole, size)]
            runs = [slice(start, min(start + size, whole)) for start in starts]
            runs += [slice(whole, self.rows)] if whole < self.rows else []
        else:
            size = max(per, most // per * per)
            runs = [
                slice(start, min(start + size, begin + self.group, self.rows))
                for begin in range(0, self.rows, self.group)
                for start in range(begin, min(begin + self.group, self.rows), size)
            ]
        for run in runs:
            held = self.codes[:, :, run.start // per : -(-run.stop // per)]
            codes = unpack(held, self.bits)[:, :, : run.stop - run.start].to(dtype)
            first, last = run.start // self.group, -(-run.stop // self.group)
            yield Piece(
                rows=run,
                codes=codes.unflatten(2, (last - first, -1)),
                step=self.step[:, :, first:last].to(dtype),
                low=self.low[:, :, first:last].to(dtype),
            )


@torch.no_grad()
def quantise(
    rows: Float[Tensor, "batch kv_head row channel"],
    valid: Bool[Tensor, "batch row"],
    codec: Codec,
) -> Quantised:
    """Pack rows; those that are not valid have no say in the endpoints, whatever they hold."""
    count, per = rows.shape[2], 8 // codec.bits
    group = -(-count // per) * per if codec.group is None else codec.group
    group = max(group, per)
    missing = -count % group
    seen = torch.nn.functional.pad(valid, (0, missing)).unflatten(1, (-1, group))[
        :, None, ..., None
    ]
    wide = torch.nn.functional.pad(rows.to(_wide(rows.dtype)), (0, 0, 0, missing))
    wide = wide.unflatten(2, (-1, group)).masked_fill(~seen, 0.0)
    low, high = codec.endpoints.ends(wide, seen.expand(-1, rows.shape[1], -1, -1, -1))
    levels = 2**codec.bits - 1
    step, low = ((high - low) / levels).to(rows.dtype), low.to(rows.dtype)
    by = step.to(wide.dtype).unsqueeze(-2)
    place = (wide - low.to(wide.dtype).unsqueeze(-2)) / by.where(by > 0, 1.0)
    codes = place.clamp(0, levels).round().masked_fill(~seen | (by <= 0), 0.0).to(torch.uint8)
    return Quantised(
        codes=pack(codes.flatten(2, 3)[:, :, :count], codec.bits),
        step=step,
        low=low,
        bits=codec.bits,
        rows=count,
        group=group,
    )


def _wide(dtype: torch.dtype) -> torch.dtype:
    """At least 32 bits: 16-bit differences of neighbours round whole steps away."""
    return torch.promote_types(dtype, torch.float32)
