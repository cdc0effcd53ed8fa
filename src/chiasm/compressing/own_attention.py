"""Attention of a layer of our own decoder, recomputed for the rows that a scorer asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.compressing.decoder_attention import weighed
from chiasm.layers import rotate, split_heads
from chiasm.spec.reading import Reading
from chiasm.stream import Permission


@dataclass(frozen=True)
class OwnAttention:
    """Of one block before it runs, under its rule, earlier calls' keys included."""

    block: nn.Module
    hidden: Float[Tensor, "batch row width"]
    reading: Reading
    permission: Callable[[], Permission]
    stays: Bool[Tensor, "batch row"] | None = None
    """False for rows that are gone already."""
    slots: Int[Tensor, "batch kept"] | None = None
    """Where the rows that are asked about stand among those."""

    def among(self, slots: Int[Tensor, "batch kept"]) -> "OwnAttention":
        """The same, asked about by places among the rows that were kept."""
        return replace(self, slots=slots)

    @torch.no_grad()
    def __call__(
        self, batch: int, own: Tensor, queries: Tensor, *, logits: bool
    ) -> Float[Tensor, "head query row"]:
        if self.slots is not None:
            own = self.slots[batch, own]
        asking = own[queries]
        rows = slice(int(asking.min()), int(asking.max()) + 1)
        q, k = self._queries(rows), self._keys()
        dense = self.permission().dense
        assert dense is not None
        seen = dense[batch, asking]
        past = seen.shape[1] - self.hidden.shape[1]
        if self.stays is not None:
            gone = ~self.stays[batch]
            seen = seen & torch.cat([gone.new_zeros(past), gone]).logical_not()
        before = None
        if past:
            cache: Any = self.reading.cache
            before = cache.held(self.block.self_attn.key).keys[batch, :, :past]  # type: ignore[union-attr]
        places = torch.cat([torch.arange(past, device=own.device), past + own])
        return weighed(
            q[batch][:, asking - rows.start],
            k[batch][:, own],
            before,
            seen[:, places],
            q.shape[-1] ** -0.5,
            logits=logits,
        )

    def _queries(self, rows: slice) -> Float[Tensor, "batch head query head_width"]:
        attention: Any = self.block.self_attn
        reading = self.reading.on(rows)
        q = attention.q_proj(self._normed(rows), reading)
        q = split_heads(q, attention.host.heads)
        if attention.host.query_key_norm:
            q = attention.q_norm(q, reading)
        turned = self._turned()
        return q if turned is None else rotate(q, turned.cut(rows))

    def _keys(self) -> Float[Tensor, "batch kv_head row head_width"]:
        attention: Any = self.block.self_attn
        k = attention.k_proj(self._normed(self.reading.rows), self.reading)
        k = split_heads(k, attention.host.kv_heads)
        if attention.host.query_key_norm:
            k = attention.k_norm(k, self.reading)
        turned = self._turned()
        return k if turned is None else rotate(k, turned)

    def _normed(self, rows: slice) -> Tensor:
        block: Any = self.block
        return block.input_layernorm(self.hidden[:, rows], self.reading.on(rows))

    def _turned(self) -> Any:
        attention: Any = self.block.self_attn
        return self.reading.call.rotary(self.reading.table.position) if attention.turns else None
