"""A second feed-forward, taught on pictures, mixed into every token's own (MKS2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.experts.adapted import AdaptingWeights, adapters_idle, adapters_work
from chiasm.experts.adapters import Adapter
from chiasm.layers import FeedForward
from chiasm.spec import Host, Work
from chiasm.spec.slots import Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows


@dataclass(frozen=True, kw_only=True)
class VisualMemory:
    """y = g_v V(h) + g_t FFN(h), (g_v, g_t) = softmax(W h + b) for every row, of whatever kind
    (MKS2, arXiv 2311.15759). V(h) = U gelu(D h) of d / `narrower` hidden units, U and W zero and
    b = (0, `trust`) at first: rows begin with sigmoid(trust) of the host's own feed-forward.
    """

    narrower: int
    trust: float
    adapters: tuple[Adapter, ...]

    @property
    def groups(self) -> tuple[Rows, ...]:
        return tuple(rows for adapter in self.adapters for rows in adapter.groups)

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return any(adapter.looks_ahead for adapter in self.adapters)

    def weights(self, host: Host) -> "RememberingWeights":
        return RememberingWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        return host.depth * adapters_idle(self.adapters, host, modality, tuple(Site))

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        count = sum(rows.feed_forward.values())
        each = 2 * host.width * (host.width // self.narrower) + 2 * host.width
        return (
            *rows.work(host, name),
            *adapters_work(self.adapters, host, rows, name, tuple(Site)),
            Work("decoder", f"{name} visual memory", count * each),
        )


class RememberingWeights(AdaptingWeights):
    """A host's weights, each feed-forward beside a memory."""

    def __init__(self, host: Host, answer: VisualMemory) -> None:
        super().__init__(host, answer.adapters)
        self.answer = answer

    def feed_forward(self, layer: int) -> nn.Module | None:
        own = super().feed_forward(layer)
        if not isinstance(own, FeedForward):
            raise Misuse("a visual memory stands beside a feed-forward; this host has none")
        return RememberingFeedForward(own, self.answer, self.host.width)


class RememberingFeedForward(FeedForward):
    """g_v V(h) + g_t FFN(h); the weights of FFN keep their names."""

    def __init__(self, own: FeedForward, answer: VisualMemory, width: int) -> None:
        nn.Module.__init__(self)
        self.gate_proj, self.up_proj, self.down_proj = own.gate_proj, own.up_proj, own.down_proj
        self.norm, self.hidden, self.activation = own.norm, own.hidden, own.activation
        memory = nn.Sequential(
            nn.Linear(width, width // answer.narrower),
            nn.GELU(),
            nn.Linear(width // answer.narrower, width),
        )
        gate = nn.Linear(width, 2)
        for zero in (*memory[2].parameters(), *gate.parameters()):
            nn.init.zeros_(zero)
        with torch.no_grad():
            gate.bias[1] = answer.trust
        self.experts = nn.ModuleDict({"memory": memory, "gate": gate})

    def shares(self, x: Tensor) -> Float[Tensor, "batch token 2"]:
        """(g_v, g_t) of every row."""
        return self.experts["gate"](x).softmax(-1)

    def forward(self, x: Tensor, reading: object = None) -> Tensor:
        visual, textual = self.shares(x).split(1, -1)
        return visual * self.experts["memory"](x) + textual * super().forward(x, reading)
