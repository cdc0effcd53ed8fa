"""Keys and values of which the visual rows are quantised, the others held as they are."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.compression.packed_attention import Packed, Plain, attend_packed
from chiasm.compression.quantised import Codec, quantise
from chiasm.errors import Misuse
from chiasm.stream import Permission

KeyValue = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class VisualKV:
    """How visual keys and values are held, and by how much their logits' maximum is lowered."""

    keys: Codec
    values: Codec
    calibration: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SplitRows:
    """A layer's keys and values so far, in columns 0 to `total`.

    Each call's visual rows become one block, quantised once and never again; rows of other calls
    read them from the codes. Padding counts as no visual row.
    """

    how: VisualKV
    packed: tuple[Packed, ...]
    plain: Plain
    total: int

    @classmethod
    def none(cls, like: Float[Tensor, "batch kv_head row channel"], how: VisualKV) -> "SplitRows":
        """No rows yet, of such a batch and such heads."""
        empty = like[:, :, :0]
        column = torch.zeros(like.shape[0], 0, dtype=torch.int32, device=like.device)
        return cls(
            how=how, packed=(), plain=Plain(keys=empty, values=empty, column=column), total=0
        )

    def extended(self, keys: Tensor, values: Tensor) -> "SplitRows":
        """With further rows, all as they are."""
        batch, _, count, _ = keys.shape
        column = torch.arange(self.total, self.total + count, dtype=torch.int32, device=keys.device)
        return self._with((), keys, values, column.expand(batch, -1), count)

    def packing(
        self, keys: Tensor, values: Tensor, visual: Bool[Tensor, "batch row"]
    ) -> "SplitRows":
        """With further rows, the visual ones quantised."""
        if not bool(visual.any()):
            return self.extended(keys, values)
        count = visual.shape[1]
        chosen, rest = self._gathered(keys, values, visual), self._gathered(keys, values, ~visual)
        real = chosen.column >= 0
        block = Packed(
            keys=quantise(chosen.keys, real, self.how.keys),
            values=quantise(chosen.values, real, self.how.values),
            column=chosen.column,
        )
        return self._with((block,), rest.keys, rest.values, rest.column, count)

    def _gathered(self, keys: Tensor, values: Tensor, wanted: Tensor) -> Plain:
        """The wanted rows of each sample in order, filled up at the end."""
        counts = wanted.sum(1)
        order = (~wanted).int().sort(dim=1, stable=True).indices[:, : int(counts.max())]
        real = torch.arange(order.shape[1], device=order.device) < counts.unsqueeze(1)
        index = order[:, None, :, None]
        column = (self.total + order).masked_fill(~real, -1).to(torch.int32)
        return Plain(
            keys=keys.gather(2, index.expand(-1, keys.shape[1], -1, keys.shape[3])),
            values=values.gather(2, index.expand(-1, values.shape[1], -1, values.shape[3])),
            column=column,
        )

    def _with(
        self, packed: tuple[Packed, ...], keys: Tensor, values: Tensor, column: Tensor, count: int
    ) -> "SplitRows":
        plain = Plain(
            keys=torch.cat([self.plain.keys, keys], 2),
            values=torch.cat([self.plain.values, values], 2),
            column=torch.cat([self.plain.column, column], 1),
        )
        return replace(self, packed=(*self.packed, *packed), plain=plain, total=self.total + count)

    def attend(
        self,
        q: Float[Tensor, "batch head query channel"],
        permission: Permission,
        *,
        scale: float | None = None,
    ) -> Float[Tensor, "batch head query channel"]:
        """What queries read of all rows, the quantised ones from their codes."""
        if permission.causal or permission.block is not None:
            raise Misuse("quantised rows are read under a dense mask; this one is another form")
        return attend_packed(
            q,
            self.packed,
            self.plain,
            permission.dense,
            scale=scale,
            calibration=self.how.calibration,
        )

    @property
    def keys(self) -> Float[Tensor, "batch kv_head row channel"]:
        """All keys at full precision, in order of columns: a copy, made on demand."""
        blocks = [(block.keys.values(), block.column) for block in self.packed]
        return self._in_order([*blocks, (self.plain.keys, self.plain.column)])

    @property
    def values(self) -> Float[Tensor, "batch kv_head row channel"]:
        """All values, likewise."""
        blocks = [(block.values.values(), block.column) for block in self.packed]
        return self._in_order([*blocks, (self.plain.values, self.plain.column)])

    def _in_order(self, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
        rows = torch.cat([rows for rows, _ in parts], 2)
        column = torch.cat([column for _, column in parts], 1).long()
        # Rows that stand for nothing go beyond the last column, which is cut off.
        index = column.masked_fill(column < 0, self.total)[:, None, :, None]
        whole = rows.new_zeros(*rows.shape[:2], self.total + 1, rows.shape[3])
        return whole.scatter(2, index.expand_as(rows), rows)[:, :, : self.total]

    def at(self, chosen: Int[Tensor, " sample"]) -> "SplitRows":
        """Other samples of the batch, for beams."""
        packed = tuple(block.at(chosen) for block in self.packed)
        return replace(self, packed=packed, plain=self.plain.at(chosen))

    @property
    def bytes(self) -> int:
        """Of codes, steps, los, plain rows and column numbers."""
        return sum(block.bytes for block in self.packed) + self.plain.bytes
