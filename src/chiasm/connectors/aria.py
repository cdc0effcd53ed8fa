"""Aria's connector: learned queries, as many as the image is large, read the patches once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class AriaConnector:
    """W2 gelu(W1 LN(W a)), a = attention(q = LN(queries), kv = LN(x)) (Aria, arXiv 2410.05993).

    `queries` lists (patches, queries): an image takes the queries of the first entry that is at
    least as large. Queries, keys and values pass a projection without and then one with biases.
    Parameters bear the names of transformers' `AriaProjector`.
    """

    queries: tuple[tuple[int, int], ...]
    heads: int
    ff_width: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        patches = grid[0] * grid[1]
        for most, queries in self.queries:
            if patches <= most:
                return queries
        raise Misuse(
            f"{patches} patches are more than the {self.queries[-1][0]} that this connector reads; "
            f"give a smaller view"
        )

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "AriaProjector":
        return AriaProjector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        patches, queries = grid[0] * grid[1], self.count(grid)
        heads = self.heads
        return (
            linear("connector", "query", queries, width, 2 * width),
            linear("connector", "key and value", patches, width, 4 * width),
            attention("connector", "read", queries * patches, heads, width // heads),
            linear("connector", "output", queries, width, 2 * width),
            linear("connector", "feed-forward in", queries, width, self.ff_width),
            linear("connector", "feed-forward out", queries, self.ff_width, host_width),
        )


class _MultiheadAttention(nn.Module):
    """torch's own layout of the parameters; attention itself is `attend`'s."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, permission: Permission) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            split_heads(F.linear(x, weight, bias), self.heads)
            for x, weight, bias in zip((q, k, v), weights, biases, strict=True)
        )
        return self.out_proj(merge_heads(attend(q, k, v, permission)))


class _CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(width, width, bias=False) for _ in range(3)
        )
        self.multihead_attn = _MultiheadAttention(width, heads)
        self.linear = nn.Linear(width, width)
        self.layer_norm, self.layer_norm_kv = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, queries: Tensor, permission: Permission) -> Tensor:
        q = self.q_proj(self.layer_norm(queries))
        x = self.layer_norm_kv(x)
        return self.linear(self.multihead_attn(q, self.k_proj(x), self.v_proj(x), permission))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(width, hidden, bias=False)
        self.act = ACT2FN["gelu_new"]
        self.linear_out = nn.Linear(hidden, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_out(self.act(self.linear_in(x)))


class AriaProjector(nn.Module):
    """`[image, patch, width]` to `[image, queries, host width]`; padded patches are not read."""

    def __init__(self, config: AriaConnector, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        most = max(queries for _, queries in config.queries)
        self.query = nn.Parameter(torch.randn(most, width) * 0.02)
        self.cross_attn = _CrossAttention(width, config.heads)
        self.layer_norm = nn.LayerNorm(width)
        self.feed_forward = _FeedForward(width, config.ff_width, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        count, valid = self.config.count(features.grid), None
        queries = self.query[:count].expand(len(features.tokens), -1, -1)
        permission = Permission()
        if features.valid is not None:
            permission = Permission(dense=features.valid.unsqueeze(1).expand(-1, count, -1))
            own = [self.config.count((1, patches)) for patches in features.valid.sum(1).tolist()]
            places = torch.arange(count, device=queries.device)
            valid = places < torch.tensor(own, device=queries.device).unsqueeze(1)
        read: Float[Tensor, "image query width"] = self.cross_attn(
            features.tokens, queries, permission
        )
        return Tokens(self.feed_forward(self.layer_norm(read)), valid)
