"""A fusion encoder as the bridge: queries stand where its words stood, and read a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class MultiwayQueries:
    """`latents` learned queries in the text slot of a multiway transformer (Muffin, arXiv
    2310.00653; BEiT-3, arXiv 2208.10442): W z + b of the queries' last states z to the host's
    width.

    Patches and queries attend to each other in every layer; all weights are there twice, for
    patches and for queries, which pass those of words. With LN_r and LN_h inside (sub-LN): x = x +
    W_o LN_r(attention(LN x)), then x = x + W_2 LN_h(gelu(W_1 LN x)). Queries have learned places,
    patches come with theirs; the first and the last query stand where a text begins and ends.
    """

    latents: int
    depth: int
    heads: int
    ff_width: int
    initial_std: float = 0.02
    layerwise: bool = False

    def __post_init__(self) -> None:
        if self.latents < 3:
            raise ValueError(
                f"{self.latents} queries leave none between a beginning and an end; use 3 or more"
            )

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.latents

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "MultiwayConnector":
        if width % self.heads:
            raise ValueError(
                f"features {width} wide do not split into {self.heads} heads of a multiway layer"
            )
        return MultiwayConnector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        """Of the last layer, patches are only read."""
        patches, queries = grid[0] * grid[1], self.latents
        rows = patches + queries
        return (
            *self._layer_work(rows, rows, width) * (self.depth - 1),
            *self._layer_work(queries, rows, width),
            linear("connector", "projection", queries, width, host_width),
        )

    def _layer_work(self, reading: int, rows: int, width: int) -> tuple[Work, ...]:
        pairs, heads = reading * rows, self.heads
        return (
            linear("connector", "query and output", reading, width, 2 * width),
            linear("connector", "key and value", rows, width, 2 * width),
            attention("connector", "among patches and queries", pairs, heads, width // heads),
            linear("connector", "feed-forward", reading, width, 2 * self.ff_width),
        )


class Shown(nn.Module):
    """What rows of one kind show in a layer: keys and values of their norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)


class Expert(Shown):
    """All weights of one kind of rows in a layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width)
        self.query, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_read, self.norm_think = nn.LayerNorm(width), nn.LayerNorm(width)
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm_hidden = nn.LayerNorm(hidden)

    def forward(
        self, x: Float[Tensor, "image row width"], read: Float[Tensor, "image row width"]
    ) -> Float[Tensor, "image row width"]:
        """Both residuals, of rows and of what they read."""
        x = x + self.output(self.norm_read(read))
        hidden = nn.functional.gelu(self.expand(self.norm_think(x)))
        return x + self.contract(self.norm_hidden(hidden))


class MultiwayLayer(nn.Module):
    """Patches and queries read each other; in the last layer only the queries read."""

    def __init__(self, config: MultiwayQueries, width: int, *, last: bool) -> None:
        super().__init__()
        self.heads = config.heads
        self.image = Shown(width) if last else Expert(width, config.ff_width)
        self.words = Expert(width, config.ff_width)

    def forward(
        self,
        patches: Float[Tensor, "image patch width"],
        queries: Float[Tensor, "image query width"],
        permission: Permission,
    ) -> tuple[Tensor, Tensor]:
        """The patches (unchanged in the last layer) and the queries behind the layer."""
        kinds = (self.image, patches), (self.words, queries)
        normed = [(kind, rows, kind.norm(rows)) for kind, rows in kinds]
        k = torch.cat([kind.key(rows) for kind, _, rows in normed], 1)
        v = torch.cat([kind.value(rows) for kind, _, rows in normed], 1)
        k, v = split_heads(k, self.heads), split_heads(v, self.heads)
        behind = [
            kind(before, self._read(kind.query(rows), k, v, permission))
            if isinstance(kind, Expert)
            else before
            for kind, before, rows in normed
        ]
        return behind[0], behind[1]

    def _read(self, q: Tensor, k: Tensor, v: Tensor, permission: Permission) -> Tensor:
        if permission.dense is not None:
            permission = Permission(dense=permission.dense.expand(-1, q.shape[1], -1))
        return merge_heads(attend(split_heads(q, self.heads), k, v, permission))


class MultiwayConnector(nn.Module):
    """`[image, patch, width]` to `[image, query, host width]`."""

    def __init__(self, config: MultiwayQueries, width: int, host_width: int) -> None:
        super().__init__()
        self.queries, self.places = (
            nn.Parameter(nn.init.trunc_normal_(torch.empty(config.latents, width), std=std))
            for std in (config.initial_std, config.initial_std)
        )
        depth = config.depth
        self.layers = nn.ModuleList(
            MultiwayLayer(config, width, last=at == depth - 1) for at in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Padded patches are seen by none."""
        patches, permission = features.tokens, Permission()
        queries = (self.queries + self.places).to(patches.dtype).expand(len(patches), -1, -1)
        if features.valid is not None:
            seen = nn.functional.pad(features.valid, (0, queries.shape[1]), value=True)
            permission = Permission(dense=seen.unsqueeze(1))
        for layer in self.layers:
            patches, queries = cast(MultiwayLayer, layer)(patches, queries, permission)
        return Tokens(self.projection(self.norm(queries)))
