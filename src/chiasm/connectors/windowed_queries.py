"""Queries on a grid, each of which reads its own window of several maps (Cambrian-1's SVA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.shares import widths_of
from chiasm.errors import Misuse
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class WindowedQueries:
    """The spatial vision aggregator (Cambrian-1, arXiv 2406.16860, section 3.1).

    Map m becomes x_m = LN(MLP(f_m)), `inner` wide. One learned query stands at every place of the
    grid of h x w; in each of `depth` layers, with c the mean of x_1 over the picture,

        y = W_in [q; W_c c];  y = LN(y + read(y));  q += MLP(y),

    where read is one softmax over the query's own window of all maps: `windows`[m]^2 tokens of map
    m, plus learned places where that is over 1; every map has keys and values of its own. A
    two-layer MLP leads to the host; a learned row ends every line: h (w + 1) tokens.

    `shares` are the maps' parts of the features' width, in proportion.
    """

    one_size: ClassVar[bool] = True
    """Padding cannot be left out."""

    windows: tuple[int, ...]
    shares: tuple[int, ...]
    inner: int
    heads: int
    depth: int
    layerwise: bool = False

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.shares):
            raise Misuse(f"{len(self.windows)} windows and {len(self.shares)} shares; one a map")

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * (grid[1] + 1)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def widths(self, width: int) -> tuple[int, ...]:
        """Of each map."""
        return widths_of(self.shares, width)

    def build(self, width: int, host_width: int) -> "WindowedReads":
        return WindowedReads(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        places, inner = grid[0] * grid[1], self.inner
        kinds = list(zip(self.windows, self.widths(width), strict=True))
        keys = sum(window**2 for window in self.windows)
        each = (
            linear("connector", "context", 1, inner, inner),
            linear("connector", "query and context", places, 2 * inner, inner),
            linear("connector", "query and output", places, inner, 2 * inner),
            linear("connector", "key and value", places * keys, inner, 2 * inner),
            attention("connector", "read of windows", places * keys, self.heads, self.head_width),
            linear("connector", "feed-forward", places, inner, 2 * inner),
        )
        return (
            *(
                linear("connector", "map", places * window**2, own + inner, inner)
                for window, own in kinds
            ),
            *each * self.depth,
            linear("connector", "projection", places, inner + host_width, host_width),
        )

    @property
    def head_width(self) -> int:
        return self.inner // self.heads


class WindowedLayer(nn.Module):
    """One read and what is made of it: queries `[place, query width]`, windows `[place, token,
    inner]` of every map, `context` `[place, inner]`.
    """

    def __init__(self, config: WindowedQueries, query_width: int) -> None:
        super().__init__()
        inner, self.heads = config.inner, config.heads
        self.context = nn.Linear(inner, inner, bias=False)
        self.enter = nn.Linear(query_width + inner, inner, bias=False)
        self.query = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, inner, bias=False))
        self.keys, self.values = (
            nn.ModuleList(
                nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, inner, bias=False))
                for _ in config.windows
            )
            for _ in range(2)
        )
        self.places = nn.ParameterList(
            nn.Parameter(torch.randn(window**2, inner)) for window in config.windows if window > 1
        )
        self.placed = [window > 1 for window in config.windows]
        self.output = nn.Linear(inner, inner, bias=False)
        self.norm = nn.LayerNorm(inner)
        self.think = nn.Sequential(
            nn.Linear(inner, inner, bias=False),
            nn.GELU(),
            nn.Linear(inner, query_width, bias=False),
        )

    def forward(
        self,
        queries: Float[Tensor, "place query"],
        windows: Sequence[Float[Tensor, "place token inner"]],
        context: Float[Tensor, "place inner"],
    ) -> Float[Tensor, "place query"]:
        rows = self.enter(torch.cat([queries, context], -1))
        learned = iter(self.places)
        seen = [
            window + next(learned) if placed else window
            for window, placed in zip(windows, self.placed, strict=True)
        ]
        k, v = (
            torch.cat([make(window) for make, window in zip(makers, seen, strict=True)], 1)
            for makers in (self.keys, self.values)
        )
        q, k, v = (split_heads(part, self.heads) for part in (self.query(rows).unsqueeze(1), k, v))
        read = merge_heads(attend(q, k, v, Permission())).squeeze(1)
        return queries + self.think(self.norm(rows + self.output(read)))


class WindowedReads(nn.Module):
    """Taps `[image, window^2 * place, own width]` to `[image, h * (w + 1), host width]`."""

    def __init__(self, config: WindowedQueries, width: int, host_width: int) -> None:
        super().__init__()
        self.config, inner = config, config.inner
        self.maps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(own, inner), nn.GELU(), nn.Linear(inner, inner), nn.LayerNorm(inner)
            )
            for own in config.widths(width)
        )
        self.start = nn.Parameter(torch.randn(inner) * inner**-0.5)
        self.layers = nn.ModuleList(WindowedLayer(config, inner) for _ in range(config.depth))
        self.project = nn.Sequential(
            nn.Linear(inner, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )
        self.line_end = nn.Parameter(torch.randn(host_width) * host_width**-0.5)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Every line of queries, then its end.

        Raises:
            Misuse: other maps or windows than these; some tokens are padding.
        """
        self._check(features)
        images, (rows, columns) = len(features.taps[0]), features.grid
        maps = [make(tap) for make, tap in zip(self.maps, features.taps, strict=True)]
        windows = [
            windowed(one, features.grid, window)
            for one, window in zip(maps, self.config.windows, strict=True)
        ]
        mean, places = maps[0].mean(1), rows * columns
        queries = self.start.expand(images * places, -1)
        for layer in self.layers.children():
            context = layer.get_submodule("context")(mean).repeat_interleave(places, 0)
            queries = layer(queries, windows, context)
        lines = self.project(queries).unflatten(0, (images, rows, columns))
        ends = self.line_end.to(lines.dtype).expand(images, rows, 1, -1)
        return Tokens(torch.cat([lines, ends], 2).flatten(1, 2))

    def _check(self, features: Features) -> None:
        places, windows = features.grid[0] * features.grid[1], self.config.windows
        found = [tap.shape[1] for tap in features.taps]
        if found != [places * window**2 for window in windows]:
            raise Misuse(f"maps of {found} tokens on {places} places are not windows {windows}")
        if features.valid is not None and not bool(features.valid.all()):
            raise Misuse("windows cannot leave out padding; give all views one size")


def windowed(
    tokens: Float[Tensor, "image token width"], grid: tuple[int, int], window: int
) -> Float[Tensor, "place within width"]:
    """A map in reading order as the windows of every place of the grid, image after image."""
    rows, columns = grid
    cells = tokens.unflatten(1, (rows, window, columns, window))
    return cells.transpose(2, 3).flatten(3, 4).flatten(0, 2)
