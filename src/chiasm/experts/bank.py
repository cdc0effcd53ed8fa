"""A bank of adapters served together: every sample of a batch passes its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.experts.adapters import Adapter, Gates, Uniform
from chiasm.experts.lora import LowRank
from chiasm.spec.bank import chosen
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Site
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class AdapterBank(Uniform):
    """`count` adapters of one kind at every site; `Inputs.adapter` names each sample's."""

    adapter: Adapter
    count: int

    def __post_init__(self) -> None:
        if self.adapter.groups or self.adapter.looks_ahead:
            raise ValueError("a bank holds adapters that do the same to every row of a sample")

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.adapter.sites

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return Banked(
            self.adapter.build(layer, site, width, out, host_width, gates)
            for _ in range(self.count)
        )

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return self.adapter.macs(width, out, modality)

    def idle(self, width: int, out: int, modality: Modality) -> int:
        with torch.device("meta"):
            one = self.adapter.build(0, self.sites[0], width, out, width, Gates())
        return (self.count - 1) * sum(parameter.numel() for parameter in one.parameters())


class Banked(nn.Module):
    """delta_{n(b)}(x_b) for sample b.

    Low-rank pairs are gathered, and one batched product runs them; other deltas run once for each
    adapter that the batch names, on its samples. Both equal every sample by itself.
    """

    def __init__(self, adapters: Iterable[nn.Module]) -> None:
        super().__init__()
        self.bank = nn.ModuleList(adapters)

    def stand_beside(self, linear: nn.Linear) -> None:
        """Hand the layer on to every delta that asks for it."""
        for delta in self.bank:
            ask = getattr(delta, "stand_beside", None)
            if ask is not None:
                ask(linear)

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token out"]:
        named = chosen(reading, len(self.bank))
        if all(type(delta) is LowRank for delta in self.bank):
            return self._gathered(x, named)
        return self.slowly(x, named)

    def _gathered(self, x: Tensor, named: Int[Tensor, " batch"]) -> Tensor:
        pairs = [cast(LowRank, delta) for delta in self.bank]
        first = pairs[0]
        x = nn.functional.dropout(x, first.dropout, self.training)
        a = torch.stack([pair.a for pair in pairs])[named].to(x.dtype)
        b = torch.stack([pair.b for pair in pairs])[named].to(x.dtype)
        return first.scale * (x @ a.transpose(1, 2) @ b.transpose(1, 2))

    def slowly(self, x: Tensor, named: Int[Tensor, " batch"]) -> Tensor:
        """Adapter by adapter, each on its own samples."""
        order = named.argsort(stable=True)
        parts = [
            self.bank[int(at)](x[named == at], None) for at in named[order].unique_consecutive()
        ]
        return torch.cat(parts)[order.argsort()]

    def merge(self) -> Tensor:
        raise Misuse(
            f"a bank of {len(self.bank)} adapters depends on the sample: take one out first "
            "(chiasm.adapting.alone), then merge it"
        )
