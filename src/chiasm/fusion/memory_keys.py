"""Keys and values of a memory, made beside a layer's own by a projection of their own."""

from typing import cast

from torch import Tensor, nn

from chiasm.fusion.kept import given
from chiasm.layers import RMSNorm, RotaryTables, rotate, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Inside
from chiasm.spec.work import linear


class MemoryKeys(nn.Module):
    """[k; v] = W n(m) + b for memory tokens m, n the layer's own input norm.

    Grouped as the host's keys are, so that its queries read them; where the host norms its keys,
    these have a norm of their own. Made once, at prefill.
    """

    def __init__(self, host: Host, memory_width: int) -> None:
        super().__init__()
        self.heads = host.kv_heads
        self.kv_proj = nn.Linear(memory_width, 2 * host.kv_heads * host.head_width)
        self.key_norm = None
        if host.query_key_norm:
            self.key_norm = RMSNorm(host.head_width, eps=host.norm_eps)

    def forward(self, inside: Inside, position: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values `[batch, kv_head, memory, head_width]`; with `position`
        `[batch, memory, axis]` the keys are turned by it.
        """
        reading = inside.reading

        def made(tokens: Tensor) -> tuple[Tensor, Tensor]:
            keys, values = self.kv_proj(inside.norm(tokens)).chunk(2, -1)
            k, v = split_heads(keys, self.heads), split_heads(values, self.heads)
            k = k if self.key_norm is None else self.key_norm(k)
            if position is not None:
                tables = cast("RotaryTables | None", reading.call.rotary(position))
                k = k if tables is None else rotate(k, tables)
            return k, v

        return given(reading, made)


def keys_work(host: Host, tokens: int, width: int, name: str) -> Work:
    """The bill of one layer's keys and values."""
    shared = host.kv_heads * host.head_width
    return linear("decoder", f"{name} key and value", tokens, width, 2 * shared, once=True)


def keys_kept(host: Host, tokens: int) -> int:
    """Numbers that one layer keeps of them."""
    return 2 * host.kv_heads * host.head_width * tokens
