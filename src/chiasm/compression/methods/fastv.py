"""FastV (arXiv 2403.06764): from layer K on, what the last row attends to least is gone.

Attention is that of layer K - 1 (0-based), mean over heads; the paper's K is 2 and half the tokens
stay. The share r kept from K on follows from `keep`: (K + (L - K) r) / L = keep.
"""

from dataclasses import dataclass

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Asks
from chiasm.compression.fates import Drop
from chiasm.compression.method import HostShape, register_method, share_from
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Attended
from chiasm.errors import Misuse


@register_method("fastv")
@dataclass(frozen=True, kw_only=True)
class FastV:
    """One step, at `layer`; None: the paper's, or the last layer of a host that has fewer."""

    keep: float
    layer: int | None = None

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        wanted = min(2, shape.depth - 1) if self.layer is None else self.layer
        layer = max(wanted, shape.first)
        if layer >= shape.depth:
            raise Misuse(
                f"fastv drops before layer {layer}, and the host has {shape.depth} layers; choose "
                "an earlier one, or a method that drops before the first, such as uniform"
            )
        share = share_from(layer, self.keep, shape.depth, "fastv")
        return (
            Reducer(
                site=Site(layer=layer),
                scope=Scope.SAMPLE,
                scorer=Attended(asks=Asks.LAST, back=1),
                budget=Share(share),
                fate=Drop(),
            ),
        )
