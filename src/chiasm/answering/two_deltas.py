"""One model with several sets of low-rank deltas, of which one or none is on (SV-RAG).

The same backbone retrieves pages with one set and answers with another. Switching writes no weight:
without a set the layer computes exactly what it did before the deltas were attached.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.experts.lora import LowRank


class Switched(nn.Module):
    """base(x), or base(x) + scale B A x of the set that is on."""

    def __init__(self, base: nn.Linear, names: Sequence[str], rank: int, scale: float) -> None:
        super().__init__()
        self.base = base
        self.deltas = nn.ModuleDict(
            {
                name: LowRank(base.in_features, base.out_features, rank, scale=scale)
                for name in names
            }
        )
        self.on: str | None = None

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token out"]:
        made = self.base(x)
        return made if self.on is None else made + self.deltas[self.on](x)


def attach(
    model: nn.Module,
    names: Sequence[str] = ("retrieve", "answer"),
    *,
    rank: int = 8,
    alpha: int = 32,
) -> int:
    """Put a delta of every name, zero at first and scaled by alpha / rank, beside every linear
    layer of a model, which is frozen; how many layers those are.

    Raises:
        Misuse: the model has no linear layer, or deltas already.
    """
    if any(isinstance(module, Switched) for module in model.modules()):
        raise Misuse("the model has deltas already; attach them once, under all names")
    model.requires_grad_(False)
    found = [
        (parent, name, child)
        for parent in list(model.modules())
        for name, child in parent.named_children()
        if type(child) is nn.Linear
    ]
    if not found:
        raise Misuse("the model has no linear layer to put deltas beside")
    for parent, name, child in found:
        switched = Switched(child, names, rank, alpha / rank)
        setattr(parent, name, switched.to(child.weight.device, child.weight.dtype))
    return len(found)


@contextmanager
def using(model: nn.Module, name: str | None) -> Iterator[nn.Module]:
    """The model with one set on, or none; whatever was on before is on again afterwards.

    Raises:
        Misuse: no set has this name.
    """
    layers = [module for module in model.modules() if isinstance(module, Switched)]
    known = sorted({one for layer in layers for one in layer.deltas})
    if name is not None and name not in known:
        raise Misuse(f"no deltas are called {name!r}; there are {', '.join(known) or 'none'}")
    before = [layer.on for layer in layers]
    try:
        for layer in layers:
            layer.on = name
        yield model
    finally:
        for layer, on in zip(layers, before, strict=True):
            layer.on = on
