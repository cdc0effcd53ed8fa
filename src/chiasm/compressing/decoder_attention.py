"""Attention of a decoder layer, recomputed for the rows that a scorer asks for and no others."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.compressing.rows import Rows
from chiasm.compressing.turning import turned
from chiasm.layers import logits_over, softmax_over


@dataclass(frozen=True)
class HostAttention:
    """Of a transformers decoder layer with separate projections, a norm before them and rotary
    positions.
    """

    layer: nn.Module
    hidden: Float[Tensor, "batch row width"]
    """What the layer is given."""
    rows: Rows
    tables: tuple[Tensor, Tensor]
    """Cosines and sines `[batch or 1, row, head width]`."""
    held: tuple[Tensor, Rows] | None
    """Keys of earlier calls at this layer, and their rows."""

    @torch.no_grad()
    def __call__(
        self, batch: int, own: Tensor, queries: Tensor, *, logits: bool
    ) -> Float[Tensor, "head query row"]:
        columns = index = self.rows.index[batch, own]
        past, alive = None, torch.ones_like(index, dtype=torch.bool)
        if self.held is not None:
            past, held = self.held[0][batch], self.held[1]
            columns = torch.cat([held.index[batch], index])
            alive = torch.cat([held.alive[batch], alive])
        size = self.hidden.shape[0]
        cosine, sine = (table.expand(size, -1, -1)[batch, own] for table in self.tables)
        attention: Any = self.layer.self_attn
        normed = self.layer.input_layernorm(self.hidden[batch, own])  # type: ignore[operator]
        q = attention.q_proj(normed[queries]).unflatten(-1, (-1, attention.head_dim))
        k = attention.k_proj(normed).unflatten(-1, (-1, attention.head_dim))
        if hasattr(attention, "q_norm"):
            q, k = attention.q_norm(q), attention.k_norm(k)
        q = turned(q, cosine[queries], sine[queries]).transpose(0, 1)
        k = turned(k, cosine, sine).transpose(0, 1)
        seen = (columns <= index[queries].unsqueeze(1)) & alive
        return weighed(q, k, past, seen, attention.scaling, logits=logits)


def weighed(
    q: Float[Tensor, "head query head_width"],
    k: Float[Tensor, "kv_head row head_width"],
    past: Float[Tensor, "kv_head past head_width"] | None,
    seen: Bool[Tensor, "query past+row"],
    scale: float,
    *,
    logits: bool,
) -> Float[Tensor, "head query row"]:
    """softmax(scale q k^T) over the keys that each query sees, earlier calls' among them; what is
    returned is that of this call's rows. With `logits` the scaled products, -inf where unseen.
    """
    before = 0 if past is None else past.shape[1]
    if past is not None:
        k = torch.cat([past.to(k), k], 1)
    k = k.repeat_interleave(q.shape[0] // k.shape[0], 0)
    products = (q @ k.mT).float() * scale
    return (logits_over if logits else softmax_over)(products, seen)[..., before:]
