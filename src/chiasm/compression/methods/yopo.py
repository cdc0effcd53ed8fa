"""YOPO's layer drop (arXiv 2410.06169): from one layer on no row has weight on a visual key.

Visual rows then need not run and are not cached: all of them are gone from that layer on, 20 of 40
for LLaVA-1.5-13B, 24 of 28 for Qwen2-VL. `keep` is the share of layers with visual rows; where
keep * depth is no whole number, so large a part of them as is missing, evenly spaced, runs one
layer more. The paper's other three savings leave the rows where they are
(`chiasm.compression.operations`, attached by `chiasm.compressing.fewer_operations`).

Weights are taken away before the softmax, as in the paper's training-free form; taken away behind
it, visual rows would still have to run for the sums.
"""

from dataclasses import dataclass, replace

from chiasm.compression.budgets import Nothing, Share
from chiasm.compression.fates import Drop, EvenlySpaced
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Alike
from chiasm.errors import Misuse


@register_method("yopo")
@dataclass(frozen=True, kw_only=True)
class LayerDrop:
    """One step, at which every visual row goes."""

    keep: float

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        if self.keep == 1:
            return ()
        spent = self.keep * shape.depth
        layer = int(spent + 1e-9)
        if layer < shape.first:
            raise Misuse(
                f"keep={self.keep:g} of {shape.depth} layers drops visual rows before layer "
                f"{layer}, and they can go before layer {shape.first} at the earliest"
            )
        part = spent - layer
        if part < 1e-9:
            return (dropped_at(layer),)
        some = replace(dropped_at(layer), budget=Share(part), fate=EvenlySpaced())
        return (some, dropped_at(layer + 1)) if layer + 1 < shape.depth else (some,)


def dropped_at(layer: int) -> Reducer:
    """Every visual row goes before a layer."""
    return Reducer(
        site=Site(layer=layer), scope=Scope.SAMPLE, scorer=Alike(), budget=Nothing(), fate=Drop()
    )
