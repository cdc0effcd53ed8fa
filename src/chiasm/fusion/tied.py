"""Memory tied to the block: every layer reads its own projection through its own K and V."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import ALL, TEXT, RowPlan
from chiasm.stream.table import take


@dataclass(frozen=True)
class TiedMemory(AsMemory):
    """SAISA / NAAViT (arXiv 2502.02458): as layer i begins, media rows become P_i(features).

    They pass the layer's own norm, W_k and W_v, share one softmax with the text, and skip query,
    output and feed-forward.
    """

    @property
    def projects(self) -> bool:
        return True

    def plan(self, layer: int) -> RowPlan:
        return RowPlan(query=TEXT, key_value=ALL, output=TEXT, feed_forward=TEXT)

    def placeholders(self, tokens: int) -> int:
        return tokens

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(before={layer: Overwrite(parts.projector()) for layer in range(host.depth)})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0


class Overwrite(nn.Module):
    """Media rows of the hidden states become this layer's projection of the memory."""

    def __init__(self, projector: nn.Module) -> None:
        super().__init__()
        self.projector = projector

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.memory is None or reading.source is None:
            return hidden
        projected = cast(Tensor, self.projector(reading.memory.tokens)).to(hidden.dtype)
        if reading.in_order:
            return torch.cat([projected, hidden[:, projected.shape[1] :]], dim=1)
        rows = take(projected, reading.source.clamp(min=0))
        return torch.where((reading.source >= 0).unsqueeze(-1), rows, hidden)
