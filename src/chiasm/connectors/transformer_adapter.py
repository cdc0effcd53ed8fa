"""Layers of a transformer encoder over an image's features, then a linear map to the host."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class TransformerAdapter:
    """W x + b of `depth` post-norm layers at the features' width, without positions (OmniFusion,
    arXiv 2404.06212): x = LN(x + attention(x)); x = LN(x + W2 relu(W1 x)).

    Tokens see each other, padded ones are seen by none; as many come out.
    """

    depth: int
    heads: int
    ff_width: int
    norm_eps: float = 1e-5
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "AdapterLayers":
        return AdapterLayers(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid)
        each = (
            linear("connector", "query, key and value", tokens, width, 3 * width),
            attention("connector", "among tokens", tokens**2, self.heads, width // self.heads),
            linear("connector", "output", tokens, width, width),
            linear("connector", "feed-forward", tokens, width, 2 * self.ff_width),
        )
        return (
            *each * self.depth,
            linear("connector", "projection", tokens, width, host_width),
        )


class AdapterLayer(nn.Module):
    """One post-norm layer, `[image, token, width]` to the same."""

    def __init__(self, config: TransformerAdapter, width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.expand = nn.Linear(width, config.ff_width)
        self.contract = nn.Linear(config.ff_width, width)
        self.norm_read, self.norm = (nn.LayerNorm(width, eps=config.norm_eps) for _ in range(2))

    def forward(
        self, x: Float[Tensor, "image token width"], permission: Permission
    ) -> Float[Tensor, "image token width"]:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        x = self.norm_read(x + self.output(merge_heads(attend(q, k, v, permission))))
        return self.norm(x + self.contract(nn.functional.relu(self.expand(x))))


class AdapterLayers(nn.Module):
    """`[image, token, width]` to `[image, token, host width]`."""

    def __init__(self, config: TransformerAdapter, width: int, host_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AdapterLayer(config, width) for _ in range(config.depth))
        self.projection = nn.Linear(width, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens, valid = features.tokens, features.valid
        permission = Permission()
        if valid is not None:
            permission = Permission(dense=valid.unsqueeze(1).expand(-1, tokens.shape[1], -1))
        for layer in self.layers:
            tokens = layer(tokens, permission)
        return Tokens(self.projection(tokens), valid, features.grid)
