"""A gate on the values of some rows, head by head, closed at first (PILL)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.experts.bottleneck import Place
from chiasm.spec import Host
from chiasm.spec.reading import Reading
from chiasm.stream import Modality, Rows


@dataclass(frozen=True, kw_only=True)
class HeadGate:
    """v_head tanh(w_head x) at rows of `rows`, v at others; w zero at first, so that nothing is
    read of those rows (PILL, arXiv 2311.02126). x is what the values are made of.
    """

    rows: Rows

    @property
    def place(self) -> Place:
        return Place.VALUES

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def build(self, host: Host) -> nn.Module:
        return GatedValues(self.rows, host.width, host.kv_heads)

    def macs(self, host: Host) -> int:
        return host.width * host.kv_heads

    def idle(self, host: Host, modality: Modality) -> int:
        return 0 if modality in self.rows.modalities else self.macs(host)

    def check(self, host: Host) -> None:
        if host.mixer is not None:
            raise Misuse("a gate on values needs attention; this host's layers are a state space's")


class GatedValues(nn.Module):
    """v (tanh(W x) - 1) at the gated rows, 0 at others: what turns v into the gated values."""

    def __init__(self, rows: Rows, width: int, heads: int) -> None:
        super().__init__()
        self.rows = rows
        self.gate = nn.Linear(width, heads, bias=False)
        nn.init.zeros_(self.gate.weight)

    def forward(
        self,
        values: Float[Tensor, "batch token inner"],
        reading: Reading,
        given: Float[Tensor, "batch token width"],
    ) -> Float[Tensor, "batch token inner"]:
        share = self.gate(given).tanh() - 1
        share = share * self.rows.select(reading.table).unsqueeze(-1)
        heads = values.unflatten(-1, (share.shape[-1], -1))
        return (heads * share.unsqueeze(-1)).flatten(-2)

    def merge(self) -> Tensor:
        raise Misuse("a gate on values depends on the row: it cannot be merged into a matrix")
