"""The Perceiver resampler: any number of features to a fixed number of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, normed_feed_forward, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class PerceiverResampler:
    """Learned latents read the features, layer after layer (Flamingo, arXiv 2204.14198, 3.1).

    Each layer: latents += attention(q = LN(latents), kv = [LN(x); LN(latents)]), then a
    feed-forward of `ff_multiple` times the width; a final norm. Works at the features' width;
    `project` maps the latents to the host's width afterwards (AKI), else they stay features that
    a layer reads (Flamingo).
    """

    latents: int
    depth: int
    heads: int
    head_width: int
    ff_multiple: int = 4
    activation: str = "gelu"
    query_key_norm: bool = False
    """A LayerNorm over each head's queries and keys (IDEFICS, arXiv 2306.16527)."""
    project: bool = False
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.latents

    def width(self, width: int, host_width: int) -> int:
        return host_width if self.project else width

    def build(self, width: int, host_width: int) -> nn.Module:
        return Resampler(self, width, host_width if self.project else None)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, inner = grid[0] * grid[1], self.heads * self.head_width
        keys, hidden = tokens + self.latents, self.ff_multiple * width
        work: list[Work] = []
        for _ in range(self.depth):
            work += [
                linear("connector", "query", self.latents, width, inner),
                linear("connector", "key and value", keys, width, 2 * inner),
                attention("connector", "read", self.latents * keys, self.heads, self.head_width),
                linear("connector", "output", self.latents, inner, width),
                linear("connector", "feed-forward", self.latents, width, 2 * hidden),
            ]
        if self.project:
            work.append(linear("connector", "projection", self.latents, width, host_width))
        return work


class ResamplerLayer(nn.Module):
    """One read of the features by the latents, and the latents' feed-forward."""

    def __init__(self, config: PerceiverResampler, width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm_features = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.norm_q = self.norm_k = nn.Identity()
        if config.query_key_norm:
            self.norm_q = nn.LayerNorm(config.head_width)
            self.norm_k = nn.LayerNorm(config.head_width)
        self.ff = normed_feed_forward(width, config.ff_multiple, config.activation)

    def forward(self, latents: Tensor, features: Tensor, permission: Permission) -> Tensor:
        normed = self.norm_latents(latents)
        context = torch.cat([self.norm_features(features), normed], dim=1)
        q = split_heads(self.to_q(normed), self.heads)
        k, v = (split_heads(part, self.heads) for part in self.to_kv(context).chunk(2, -1))
        latents = latents + self.to_out(
            merge_heads(attend(self.norm_q(q), self.norm_k(k), v, permission))
        )
        return latents + self.ff(latents)


class Resampler(nn.Module):
    """`[image, token, width]` to `[image, latents, width or host width]`."""

    def __init__(self, config: PerceiverResampler, width: int, out: int | None) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(config.latents, width) * 0.02)
        self.layers = nn.ModuleList(ResamplerLayer(config, width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, out) if out is not None else nn.Identity()

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        images, count = features.tokens.shape[0], self.latents.shape[0]
        latents = self.latents.expand(images, -1, -1)
        permission = Permission()
        if features.valid is not None:
            own = features.valid.new_ones(images, count)
            keys = torch.cat([features.valid, own], dim=1)
            permission = Permission(dense=keys.unsqueeze(1).expand(-1, count, -1))
        for layer in self.layers:
            latents = layer(latents, features.tokens, permission)
        return Tokens(self.projection(self.norm(latents)))
