"""Adapters beside the linear layers of a module that is no host: an encoder, a connector."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from chiasm.errors import Misuse
from chiasm.experts.adapted import AdaptedLinear
from chiasm.experts.adapters import Adapter, Gates
from chiasm.experts.sites import BLOCK
from chiasm.layers import Linear
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class AdaptedLinears:
    """`adapter` beside every linear layer, or beside those whose path ends with one of `names`.

    Its own sites, which speak of a host's block, are not read.
    """

    adapter: Adapter
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.adapter.groups or self.adapter.looks_ahead:
            raise ValueError("beside a part without rows stand adapters that read no row's kind")

    def attach(self, module: nn.Module) -> nn.Module:
        """The module with its layers adapted in place.

        Raises:
            Misuse: it has no such layer; the message says which it has.
        """
        found = list(self.found(module))
        if not found:
            every = sorted({path.rpartition(".")[2] for path, _ in linears(module)})
            raise Misuse(
                f"no linear layer is called {' or '.join(self.names) or 'anything'}; "
                f"{type(module).__name__} has {', '.join(every) or 'none'}"
            )
        for path, linear in found:
            width, out = linear.in_features, linear.out_features
            delta = self.adapter.build(0, BLOCK[0], width, out, width, Gates())
            adapted = AdaptedLinear.around(linear, [delta])
            if not path:
                return adapted
            module.set_submodule(path, adapted)
        return module

    def found(self, module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
        """The layers that are adapted, by path."""
        for path, linear in linears(module):
            if not self.names or any(f".{path}".endswith(f".{name}") for name in self.names):
                yield path, linear

    def macs(self, module: nn.Module) -> int:
        """Multiply-adds for one row that passes each of these layers once."""
        return sum(
            self.adapter.macs(linear.in_features, linear.out_features, Modality.IMAGE)
            for _, linear in self.found(module)
        )


def linears(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Linear layers that are called as modules; attention of torch's own reads weights directly."""
    for path, inner in module.named_modules():
        if type(inner) in (nn.Linear, Linear):
            yield path, inner  # pyright: ignore[reportReturnType]
