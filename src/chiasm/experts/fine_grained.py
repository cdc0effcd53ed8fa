"""A feed-forward of fine-grained experts for blocks that are no layer of the host."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.experts.execute import execute
from chiasm.experts.penalties import Balance
from chiasm.experts.router import Router
from chiasm.experts.routes import everyone
from chiasm.experts.selection import TopProbabilities
from chiasm.experts.stacked import StackedFeedForward
from chiasm.layers import GroupedLinear
from chiasm.spec import Work
from chiasm.spec.reading import Reading
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class FineGrained:
    """y = m sum_e g_e E_e(x') + E_0(x'), x' = LN(x), E(x) = W2 gelu(W1 x) of `hidden` units.

    `copies` N of a dense feed-forward, each cut into `parts` m experts, of which a row passes the
    `active` k best, g their normalised shares of the softmax; and one expert for all rows (EVLM,
    arXiv 2407.14177; fine-grained and shared experts: DeepSeekMoE, arXiv 2401.06066). The factor m
    makes as many equal parts a whole again.
    """

    copies: int
    parts: int
    active: int
    hidden: int
    balance: float = 0.01
    """Coefficient of the load-balance loss."""

    @property
    def router(self) -> Router:
        return Router(
            eligibility=everyone(self.copies * self.parts),
            selection=TopProbabilities(self.active, renormalise=True),
            penalties=(Balance(coefficient=self.balance),),
        )

    def build(self, width: int) -> "FineGrainedFeedForward":
        return FineGrainedFeedForward(self, width)

    def work(self, rows: int, width: int) -> Sequence[Work]:
        return (
            linear("decoder", "block router", rows, width, self.router.experts),
            linear("decoder", "block experts", rows * self.active, width, 2 * self.hidden),
            linear("decoder", "block shared expert", rows, width, 2 * self.hidden),
        )

    def idle(self, width: int) -> int:
        return (self.router.experts - self.active) * 2 * width * self.hidden


class FineGrainedFeedForward(nn.Module):
    """`[batch, token, width]` to the same; rows that hold nothing teach the router nothing."""

    def __init__(self, config: FineGrained, width: int) -> None:
        super().__init__()
        self.parts = config.parts
        self.norm = nn.LayerNorm(width)
        self.router = config.router.build(width)
        self.routed = StackedFeedForward(
            lambda _, inner, out: GroupedLinear(config.router.experts, inner, out),
            width,
            config.hidden,
            gated=False,
            activation="gelu",
        )
        self.shared = nn.Sequential(
            nn.Linear(width, config.hidden, bias=False),
            nn.GELU(),
            nn.Linear(config.hidden, width, bias=False),
        )

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        normed, counted = self.norm(x), reading.table.valid
        rows = (normed * counted.unsqueeze(-1)).flatten(0, 1)
        held = counted.flatten()
        routes = self.router(rows, torch.zeros_like(held, dtype=torch.long), held, reading.losses)
        return self.parts * execute(rows, routes, self.routed).view_as(x) + self.shared(normed)

    @torch.no_grad()
    def copy_from(self, dense: nn.Sequential) -> None:
        """Start from W2 gelu(W1 LN(x)) (`chiasm.layers.normed_feed_forward`): every copy's parts
        are its hidden units in turn, and the shared expert adds nothing yet.

        Raises:
            ValueError: it has not as many hidden units as `parts` experts.
        """
        norm, first, _, second = dense
        units = self.parts * self.routed.up_proj.weight.shape[2]
        if first.weight.shape[0] != units:  # pyright: ignore
            raise ValueError(
                f"a feed-forward of {first.weight.shape[0]} hidden units is not cut into "  # pyright: ignore
                f"{self.parts} parts of {units // self.parts}"
            )
        self.norm.load_state_dict(norm.state_dict())
        self.routed.copy_from(nn.ModuleDict({"up_proj": first, "down_proj": second}))
        self.shared[-1].weight.zero_()  # pyright: ignore
