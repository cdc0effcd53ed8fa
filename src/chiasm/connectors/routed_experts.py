"""One projection for all modalities: queries through several stacks that a router weighs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import GatedMLP, attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class RoutedProjection:
    """LN(W sum_e p_e(q) E_e([q; LN(W_in x)])_q) for each of `queries` learned q (OneLLM's universal
    projection, arXiv 2312.03700).

    Every E_e runs: `depth` pre-norm layers of the Llama kind without positions, in which queries
    and features see each other. p(q) are sigmoids of a two-layer MLP, divided by their sum.
    """

    queries: int
    branches: int
    depth: int
    heads: int
    head_width: int
    ff_width: int
    norm_eps: float = 1e-5
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    @property
    def inner(self) -> int:
        """Width of queries and features."""
        return self.heads * self.head_width

    def count(self, grid: tuple[int, int]) -> int:
        return self.queries

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "RoutedStacks":
        return RoutedStacks(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, inner = grid[0] * grid[1], self.inner
        rows = self.queries + tokens
        each = (
            linear("connector", "query, key and value", rows, inner, 3 * inner),
            attention("connector", "among rows", rows**2, self.heads, self.head_width),
            linear("connector", "output", rows, inner, inner),
            linear("connector", "feed-forward", rows, inner, 3 * self.ff_width),
        )
        return (
            linear("connector", "projection in", tokens, width, inner),
            linear("connector", "router", self.queries, inner, inner + self.branches),
            *each * self.depth * self.branches,
            linear("connector", "projection out", self.queries, inner, host_width),
        )


class RoutedLayer(nn.Module):
    """x += attention(n(x)); x += feed_forward(m(x))."""

    def __init__(self, config: RoutedProjection) -> None:
        super().__init__()
        width, self.heads = config.inner, config.heads
        self.norm_read, self.norm = (nn.RMSNorm(width, eps=config.norm_eps) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.ff = GatedMLP(width, config.ff_width)

    def forward(
        self, x: Float[Tensor, "image row width"], permission: Permission
    ) -> Float[Tensor, "image row width"]:
        q, k, v = (
            split_heads(part, self.heads) for part in self.qkv(self.norm_read(x)).chunk(3, -1)
        )
        x = x + self.output(merge_heads(attend(q, k, v, permission)))
        return x + self.ff(self.norm(x))


class RoutedStacks(nn.Module):
    """`[image, token, width]` to `[image, queries, host width]`."""

    def __init__(self, config: RoutedProjection, width: int, host_width: int) -> None:
        super().__init__()
        inner = config.inner
        self.queries = nn.Parameter(torch.randn(config.queries, inner) * 0.02)
        self.enter = nn.Sequential(nn.Linear(width, inner), nn.LayerNorm(inner))
        self.router = nn.Sequential(
            nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, config.branches)
        )
        self.branches = nn.ModuleList(
            nn.ModuleList(RoutedLayer(config) for _ in range(config.depth))
            for _ in range(config.branches)
        )
        self.leave = nn.Sequential(nn.Linear(inner, host_width), nn.LayerNorm(host_width))

    def weights(self) -> Float[Tensor, "query branch"]:
        """How much of each stack a query takes; a row sums to 1."""
        open_ = self.router(self.queries).sigmoid()
        return open_ / open_.sum(-1, keepdim=True)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        images, count = len(features.tokens), len(self.queries)
        queries = self.queries.expand(images, -1, -1)
        rows = torch.cat([queries, self.enter(features.tokens)], 1)
        permission = Permission()
        if features.valid is not None:
            own = features.valid.new_ones(images, count)
            seen = torch.cat([own, features.valid], 1)
            permission = Permission(dense=seen.unsqueeze(1).expand(-1, rows.shape[1], -1))
        said = torch.stack([self._through(at, rows, permission) for at in range(self.width)], -1)
        return Tokens(self.leave((said * self.weights().unsqueeze(1)).sum(-1)))

    @property
    def width(self) -> int:
        """Stacks side by side."""
        return len(self.branches)

    def _through(
        self, at: int, rows: Tensor, permission: Permission
    ) -> Float[Tensor, "image query inner"]:
        """What one stack makes of the queries."""
        for layer in self.branches.get_submodule(str(at)).children():
            rows = layer(rows, permission)
        return rows[:, : len(self.queries)]
