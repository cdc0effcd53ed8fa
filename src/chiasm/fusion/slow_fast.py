"""A second, slow path: text reads all frames beside the self-attention over few fast tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsRowsAndMemory
from chiasm.fusion.memory_keys import MemoryKeys, keys_kept, keys_work
from chiasm.layers import attend, merge_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Inside
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import TEXT


@dataclass(frozen=True, kw_only=True)
class SlowFast(AsRowsAndMemory):
    """Hybrid layers, every `every`-th from the first (arXiv 2504.01328): before W_o, at text rows,

        read <- read + tanh(u . read + b) tanh(w) attention(q, slow keys, slow values)

    with the layer's own queries, turned by their positions; slow keys are not turned. The kept
    (fast) tokens take rows of the sequence and read nothing besides. w = `gate_start`, 0 at first.
    """

    every: int
    gate_start: float = 0.0

    def layers(self, depth: int) -> range:
        """The hybrid layers."""
        return range(0, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        hybrid = {
            layer: SlowRead(host, parts.memory_width, self.gate_start)
            for layer in self.layers(host.depth)
        }
        return Slots(beside=hybrid, groups=(TEXT,))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        inner = host.heads * host.head_width
        read = attention(
            "decoder",
            "slow read",
            text * tokens,
            host.heads,
            host.head_width,
            reads=Reads.MEMORY,
            rows=TEXT,
        )
        gate = linear("decoder", "slow gate", text, inner, 1)
        each = keys_work(host, tokens, width, "slow"), read, gate
        return each * len(self.layers(host.depth))

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * keys_kept(host, tokens)


class SlowRead(nn.Module):
    """The read of one hybrid layer."""

    def __init__(self, host: Host, memory_width: int, gate_start: float) -> None:
        super().__init__()
        self.keys = MemoryKeys(host, memory_width)
        self.dynamic_gate = nn.Linear(host.heads * host.head_width, 1)
        self.warm_up_gate = nn.Parameter(torch.full((1,), gate_start))

    def forward(
        self, inside: Inside, read: Float[Tensor, "batch query inner"]
    ) -> Float[Tensor, "batch query inner"]:
        if inside.reading.memory is None and inside.reading.permission is None:
            return read
        keys, values = self.keys(inside)
        gate = self.dynamic_gate(read).tanh() * self.warm_up_gate.tanh()
        pieces: list[Tensor] = []
        for rows, run in inside.reading.groups:
            own, permission = read[:, run], inside.reading.within(run).permission
            if rows & TEXT and permission is not None:
                slow = merge_heads(attend(inside.queries[:, :, run], keys, values, permission))
                own = own + gate[:, run] * slow
            pieces.append(own)
        return torch.cat(pieces, dim=1) if pieces else read
