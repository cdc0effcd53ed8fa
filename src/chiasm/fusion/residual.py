"""Attention maps of latent rows handed from layer to layer, gated by time (LaTtE-Flow)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.sequence import InSequence
from chiasm.layers import FREQUENCIES, attention_map, merge_heads, waves
from chiasm.spec import Host, Work
from chiasm.spec.reading import Inside
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import Modality, Rows

LATENT = Rows.of(Modality.LATENT)
NOTE = "residual attention"


@dataclass(frozen=True, kw_only=True)
class ResidualAttention(InSequence):
    """A_l + tanh(W_l waves(t)) A'_(l-1) in the place of a latent row's attention map A_l, where
    A'_(l-1) is what the layer before used; one gate a head, W_l starts at zero (arXiv 2506.06952).

    Inside each of `times` groups of layers, the group's first layer excepted.
    """

    times: int

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        group = [layer * self.times // host.depth for layer in range(host.depth)]
        gates: dict[int, nn.Module] = {}
        for layer, own in enumerate(group):
            if group.count(own) > 1:
                gates[layer] = MapGate(host, carried=layer > 0 and group[layer - 1] == own)
        return Slots(beside=gates)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        """Prompts pass no gate; what a drawn picture's rows cost is the head's to say."""
        return ()


class MapGate(nn.Module):
    """Leaves a layer's map for the next, and adds what the layer before left.

    Only latent rows have maps; a call without them, and other rows, are left alone.
    """

    reads_pairs = True

    def __init__(self, host: Host, *, carried: bool) -> None:
        super().__init__()
        self.gate: nn.Linear | None = None
        if carried:
            self.gate = nn.Linear(FREQUENCIES, host.heads, bias=False)
            nn.init.zeros_(self.gate.weight)

    def forward(
        self, inside: Inside, read: Float[Tensor, "batch query inner"]
    ) -> Float[Tensor, "batch query inner"]:
        reading = inside.reading
        table, notes = reading.table, reading.call.notes
        latent = LATENT.select(table)
        if not bool(latent.any()):
            return read
        own = attention_map(inside.queries, inside.held.keys, inside.permission)
        before = notes.get((NOTE, reading.layer - 1))
        if self.gate is not None and before is not None:
            said = waves(table.place[..., 0]).to(self.gate.weight.dtype)
            gate = self.gate(said).tanh() * latent.unsqueeze(-1)
            carried = gate.transpose(1, 2).unsqueeze(-1) * before
            values = inside.held.values
            values = values.repeat_interleave(carried.shape[1] // values.shape[1], 1)
            read = read + merge_heads(carried @ values)
            own = own + carried
        notes[NOTE, reading.layer] = own
        return read
