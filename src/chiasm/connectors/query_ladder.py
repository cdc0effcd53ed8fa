"""QLadder: queries climb the encoder's layers beside its patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class QueryLadder:
    """At rung l, with H_l the patches as they enter the encoder's layer l (Arcana, arXiv
    2410.13733): q = q + attention(LN q, LN H_l), then q = q + MLP(LN q).

    The encoder gives a tap before each layer that a rung reads, and one more where its patches are
    taken; patches and queries then pass one two-layer MLP. Of `rungs` the last `idle` are kept but
    not run, as the release keeps the rung of CLIP's unread last layer.
    """

    queries: int
    rungs: int
    idle: int
    heads: int
    ff_width: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    @property
    def climbed(self) -> int:
        return self.rungs - self.idle

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1] + self.queries

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "QueryLadderConnector":
        return QueryLadderConnector(self, self._level(width), host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        patches, queries, level = grid[0] * grid[1], self.queries, self._level(width)
        each = (
            linear("connector", "ladder query and output", queries, level, 2 * level),
            linear("connector", "ladder key and value", patches, level, 2 * level),
            attention(
                "connector", "ladder read", queries * patches, self.heads, level // self.heads
            ),
            linear("connector", "ladder feed-forward", queries, level, 2 * self.ff_width),
        )
        tokens = self.count(grid)
        return (
            *each * self.climbed,
            linear("connector", "projection 1", tokens, level, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )

    def _level(self, width: int) -> int:
        """Width of one tap."""
        if width % (self.climbed + 1):
            raise ValueError(
                f"features of width {width} are not the {self.climbed + 1} taps that "
                f"{self.climbed} rungs and the patches need"
            )
        return width // (self.climbed + 1)


class Rung(nn.Module):
    """One read of a layer's patches by the queries, and the queries' feed-forward."""

    def __init__(self, config: QueryLadder, width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm_queries, self.norm_patches, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.to_q, self.to_k, self.to_v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(
            nn.Linear(width, config.ff_width), nn.GELU(), nn.Linear(config.ff_width, width)
        )

    def forward(
        self,
        queries: Float[Tensor, "image query width"],
        patches: Float[Tensor, "image patch width"],
        permission: Permission,
    ) -> Float[Tensor, "image query width"]:
        normed, sources = self.norm_queries(queries), self.norm_patches(patches)
        q, k, v = (
            split_heads(x, self.heads)
            for x in (self.to_q(normed), self.to_k(sources), self.to_v(sources))
        )
        queries = queries + self.out(merge_heads(attend(q, k, v, permission)))
        return queries + self.mlp(self.norm(queries))


class QueryLadderConnector(nn.Module):
    """`[image, patch, taps * width]` to `[image, patch + queries, host width]`."""

    def __init__(self, config: QueryLadder, width: int, host_width: int) -> None:
        super().__init__()
        self.climbed = config.climbed
        self.queries = nn.Parameter(torch.randn(config.queries, width) * 0.02)
        self.rungs = nn.ModuleList(Rung(config, width) for _ in range(config.rungs))
        self.projection = nn.Sequential(
            nn.Linear(width, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        *levels, patches = features.tokens.chunk(self.climbed + 1, dim=-1)
        queries, valid = self.queries.expand(len(patches), -1, -1), features.valid
        permission = Permission()
        if valid is not None:
            dense = valid.unsqueeze(1).expand(-1, queries.shape[1], -1)
            permission = Permission(dense=dense)
            valid = nn.functional.pad(valid, (0, queries.shape[1]), value=True)
        for rung, level in zip(list(self.rungs)[: self.climbed], levels, strict=True):
            queries = rung(queries, level, permission)
        return Tokens(self.projection(torch.cat([patches, queries], dim=1)), valid)
