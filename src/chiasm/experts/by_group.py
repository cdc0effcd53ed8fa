"""Weights by row group: the host's own for the first group, others for every other group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.experts.groups import by_group, group_at
from chiasm.experts.shared import PlainWeights
from chiasm.experts.sites import layer_weights, norm_weights
from chiasm.layers import LayerNorm, Linear, RMSNorm
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import NormSite, Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows

NORMS = tuple(NormSite)
"""Every norm of a host."""


class GroupLinear(Linear):
    """The host's W for the first group of rows, a layer of its own for every other."""

    def __init__(self, groups: Sequence[Rows], width: int, out: int, *, bias: bool) -> None:
        super().__init__(width, out, bias=bias)
        self.groups = tuple(groups)
        self.experts = nn.ModuleList(Linear(width, out, bias=bias) for _ in groups[1:])

    def forward(self, input: Tensor, reading: Reading) -> Tensor:
        own = super().forward
        return by_group(input, reading, self.groups, [lambda x, _: own(x), *self.experts])

    def copy_own(self) -> None:
        copy_to(self, self.experts)


class GroupRMSNorm(RMSNorm):
    """The host's norm for the first group of rows, a norm of its own for every other."""

    def __init__(self, groups: Sequence[Rows], width: int, eps: float) -> None:
        super().__init__(width, eps=eps)
        self.groups = tuple(groups)
        self.experts = nn.ModuleList(RMSNorm(width, eps=eps) for _ in groups[1:])

    def forward(self, x: Tensor, reading: Reading) -> Tensor:
        own = super().forward
        return by_group(x, reading, self.groups, [lambda rows, _: own(rows), *self.experts])

    def copy_own(self) -> None:
        copy_to(self, self.experts)


class GroupLayerNorm(LayerNorm):
    """The host's norm for the first group of rows, a norm of its own for every other."""

    def __init__(self, groups: Sequence[Rows], width: int, eps: float, *, bias: bool) -> None:
        super().__init__(width, eps=eps, bias=bias)
        self.groups = tuple(groups)
        self.experts = nn.ModuleList(LayerNorm(width, eps=eps, bias=bias) for _ in groups[1:])

    def forward(self, input: Tensor, reading: Reading) -> Tensor:
        own = super().forward
        return by_group(input, reading, self.groups, [lambda x, _: own(x), *self.experts])

    def copy_own(self) -> None:
        copy_to(self, self.experts)


GROUP_NORMS: dict[str, Callable[[Sequence[Rows], int, float], nn.Module]] = {
    "rms": GroupRMSNorm,
    "layer": lambda groups, width, eps: GroupLayerNorm(groups, width, eps, bias=True),
    "layer-without-bias": lambda groups, width, eps: GroupLayerNorm(groups, width, eps, bias=False),
}
"""By the kind of norm that a host names."""


@torch.no_grad()
def copy_to(own: nn.Module, others: nn.ModuleList) -> None:
    """Give the other groups' layers the values of the first group's."""
    values = own.state_dict()
    for other in others:
        for name, tensor in other.state_dict().items():
            tensor.copy_(values[name])


@dataclass(frozen=True, kw_only=True)
class WeightsByGroup:
    """Each row group has weights of its own at some sites; elsewhere groups share the host's.

    At every site this is a mixture of transformers (EVEv2, BAGEL, BEiT-3 as released): groups meet
    inside the attention product alone. At the feed-forward's sites it is ONE-PEACE's and BREEN's.
    """

    kinds: tuple[Rows, ...]
    """The first keeps the host's own weights."""
    sites: tuple[Site, ...]
    norms: tuple[NormSite, ...]

    @property
    def groups(self) -> tuple[Rows, ...]:
        return self.kinds

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def weights(self, host: Host) -> "GroupWeights":
        return GroupWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        group_at(self.kinds, Rows.of(modality))
        each = [host.at(layer) for layer in range(host.depth)]
        one = sum(layer_weights(of, site) for of in each for site in self.sites)
        one += sum(norm_weights(host, site) for site in self.norms)
        return (len(self.kinds) - 1) * one

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        return rows.work(host.at(layer), name)


class GroupWeights(PlainWeights):
    """Makes a host's weights, by row group where the answer says so."""

    def __init__(self, host: Host, answer: WeightsByGroup) -> None:
        super().__init__(host)
        self.answer = answer

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        if site not in self.answer.sites:
            return super().linear(layer, site, width, out, bias=bias)
        return GroupLinear(self.answer.kinds, width, out, bias=bias)

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        if site not in self.answer.norms:
            return super().norm(layer, site, width)
        return GROUP_NORMS[self.host.norm](self.answer.kinds, width, self.host.norm_eps)
