"""A feed-forward whose rows are routed among stacked experts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.experts.adapters import LoRA
from chiasm.experts.execute import execute
from chiasm.experts.groups import group_index
from chiasm.experts.router import Router, Routing
from chiasm.experts.stacked import StackedFeedForward
from chiasm.layers import FeedForward, GroupedLinear, Linear
from chiasm.spec import Host
from chiasm.spec.reading import Reading
from chiasm.stream import Rows


class MixedFeedForward(StackedFeedForward):
    """y = sum_i w_i FFN_i(x) + FFN_shared(x); the experts' matrices are the host's, the router and
    their low-rank deltas are what is added to it.
    """

    def __init__(
        self,
        host: Host,
        kinds: Sequence[Rows],
        router: Router,
        *,
        hidden: int,
        shared: int,
        lora: LoRA | None,
    ) -> None:
        def matrix(site: str, width: int, out: int) -> GroupedLinear:
            if lora is None or site not in lora.sites:
                return GroupedLinear(router.experts, width, out, std=host.initial_std)
            return AdaptedGroupedLinear(router.experts, width, out, lora, std=host.initial_std)

        super().__init__(matrix, host.width, hidden, gated=host.gated, activation=host.activation)
        self.kinds = tuple(kinds)
        self.experts = nn.ModuleDict({"router": router.build(host.width)})
        self.shared = None
        if shared:
            self.shared = FeedForward(
                lambda site, width, out: Linear(width, out, bias=host.mlp_bias),
                host.width,
                shared,
                gated=host.gated,
                activation=host.activation,
            )

    @torch.no_grad()
    def copy_from(self, dense: nn.Module) -> None:
        """As the experts alone do; the shared feed-forward takes the first hidden units."""
        super().copy_from(dense)
        if self.shared is None:
            return
        for name, own in self.shared.named_parameters():
            layer, _, _ = name.rpartition(".")
            values, axis = dense.get_parameter(name), int(layer == "down_proj")
            units = torch.arange(own.shape[axis], device=values.device)
            own.copy_(values.index_select(axis, units % values.shape[axis]))

    @property
    def closed(self) -> int:
        """Parameters of the experts that the rows of some group cannot use."""
        router: Routing = self.experts["router"]  # pyright: ignore[reportAssignmentType]
        shut = max(row.count(False) for row in router.router.eligibility)
        matrices = (self.gate_proj, self.up_proj, self.down_proj)
        return shut * sum(m.weight[0].numel() for m in matrices if m is not None)

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        table = reading.table
        group, counted = group_index(self.kinds, table), table.valid
        # What padding holds must not even change how the products of real rows round.
        rows = (x * counted.unsqueeze(-1)).flatten(0, 1)
        router = self.experts["router"]
        routes = router(rows, group.flatten(), counted.flatten(), reading.losses, x.shape[0])
        y = execute(rows, routes, self).view_as(x)
        return y if self.shared is None else y + self.shared(x, reading)


class AdaptedGroupedLinear(GroupedLinear):
    """x W_e + scale x A_e B_e: every expert's matrix, and its own low-rank delta."""

    def __init__(
        self, experts: int, width: int, out: int, lora: LoRA, *, std: float | None = None
    ) -> None:
        super().__init__(experts, width, out, std=std)
        self.scale, self.dropout = lora.alpha / lora.rank, lora.dropout
        a = GroupedLinear(experts, width, lora.rank)
        b = GroupedLinear(experts, lora.rank, out, std=0.0)
        self.experts = nn.ModuleDict({"a": a, "b": b})

    def grouped(self, x: Float[Tensor, "row width"], ends: Int[Tensor, " expert"]) -> Tensor:
        low = self._dropped(x)
        return super().grouped(x, ends) + self.scale * self.b.grouped(
            self.a.grouped(low, ends), ends
        )

    def equal(self, x: Float[Tensor, "expert row width"], experts: slice) -> Tensor:
        low = self.a.equal(self._dropped(x), experts)
        return super().equal(x, experts) + self.scale * self.b.equal(low, experts)

    def single(self, x: Float[Tensor, "row width"], expert: int) -> Tensor:
        low = self.a.single(self._dropped(x), expert)
        return super().single(x, expert) + self.scale * self.b.single(low, expert)

    @torch.no_grad()
    def merge(self) -> None:
        """Fold every expert's delta into its matrix; the delta becomes zero."""
        self.weight += self.scale * self.a.weight @ self.b.weight
        self.b.weight.zero_()

    @property
    def a(self) -> GroupedLinear:
        return self.experts["a"]  # pyright: ignore[reportReturnType]

    @property
    def b(self) -> GroupedLinear:
        return self.experts["b"]  # pyright: ignore[reportReturnType]

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
