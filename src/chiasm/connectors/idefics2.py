"""Idefics2's connector: features widened to the host, then read by latents with shared keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import GatedMLP, attend, merge_heads, split_heads
from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Features, Permission, Tokens

_EXPANSION = 4
"""Width of a resampler layer's feed-forward, in widths of the host."""


@dataclass(frozen=True, kw_only=True)
class Idefics2Connector:
    """Gated projection, then a Perceiver resampler in the host's space (arXiv 2405.02246, 2.2).

    x = W_down(act(W_gate f) * W_up f) maps every feature f to the host's width, through `ff_width`.
    Each of `depth` layers: latents += attention(q = norm(latents), kv = [norm'(x); norm(latents)]),
    then latents += gated feed-forward(norm''(latents)); x itself is never updated. Grouped queries,
    RMS norms, no biases, a final norm. Unlike `PerceiverResampler`, which works at the features'
    width and projects last. Parameters bear the names of transformers' `Idefics2Connector`.
    """

    ff_width: int
    """Hidden width of the projection; Idefics2 takes its host's feed-forward width."""
    latents: int = 64
    depth: int = 3
    heads: int = 16
    kv_heads: int = 4
    head_width: int = 96
    activation: str = "silu"
    norm_eps: float = 1e-6
    layerwise: bool = False

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly"
            )

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.latents

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "GatedResampler":
        return GatedResampler(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, latents = grid[0] * grid[1], self.latents
        inner, shared = self.heads * self.head_width, self.kv_heads * self.head_width
        keys = tokens + latents
        work = [
            linear("connector", "projection in", tokens, width, 2 * self.ff_width),
            linear("connector", "projection out", tokens, self.ff_width, host_width),
        ]
        for _ in range(self.depth):
            work += [
                linear("connector", "query", latents, host_width, inner),
                linear("connector", "key and value", keys, host_width, 2 * shared),
                attention("connector", "read", latents * keys, self.heads, self.head_width),
                linear("connector", "output", latents, inner, host_width),
                linear(
                    "connector", "feed-forward", latents, host_width, 3 * _EXPANSION * host_width
                ),
            ]
        return work


class _GroupedRead(nn.Module):
    """Grouped-query attention of the latents over features and latents."""

    def __init__(self, config: Idefics2Connector, width: int) -> None:
        super().__init__()
        self.config = config
        inner, shared = config.heads * config.head_width, config.kv_heads * config.head_width
        self.q_proj = nn.Linear(width, inner, bias=False)
        self.k_proj = nn.Linear(width, shared, bias=False)
        self.v_proj = nn.Linear(width, shared, bias=False)
        self.o_proj = nn.Linear(inner, width, bias=False)

    def forward(self, latents: Tensor, context: Tensor, permission: Permission) -> Tensor:
        sources = torch.cat([context, latents], dim=1)
        q = split_heads(self.q_proj(latents), self.config.heads)
        k = split_heads(self.k_proj(sources), self.config.kv_heads)
        v = split_heads(self.v_proj(sources), self.config.kv_heads)
        return self.o_proj(merge_heads(attend(q, k, v, permission)))


class _ReadLayer(nn.Module):
    """One read of the context by the latents, and the latents' feed-forward."""

    def __init__(self, config: Idefics2Connector, width: int) -> None:
        super().__init__()
        self.input_latents_norm = nn.RMSNorm(width, eps=config.norm_eps)
        self.input_context_norm = nn.RMSNorm(width, eps=config.norm_eps)
        self.self_attn = _GroupedRead(config, width)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=config.norm_eps)
        self.mlp = GatedMLP(width, _EXPANSION * width, activation=config.activation)

    def forward(self, latents: Tensor, context: Tensor, permission: Permission) -> Tensor:
        read = self.self_attn(
            self.input_latents_norm(latents), self.input_context_norm(context), permission
        )
        latents = latents + read
        return latents + self.mlp(self.post_attention_layernorm(latents))


class _LatentReads(nn.Module):
    def __init__(self, config: Idefics2Connector, width: int) -> None:
        super().__init__()
        # Latents that start equal, as transformers' placeholder ones do, would stay equal.
        self.latents = nn.Parameter(torch.randn(config.latents, width))
        self.layers = nn.ModuleList(_ReadLayer(config, width) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width, eps=config.norm_eps)

    def forward(
        self, context: Float[Tensor, "image token width"], permission: Permission
    ) -> Float[Tensor, "image latent width"]:
        latents = self.latents.expand(context.shape[0], -1, -1)
        for layer in self.layers:
            latents = layer(latents, context, permission)
        return self.norm(latents)


class GatedResampler(nn.Module):
    """`[image, token, width]` to `[image, latents, host width]`; padded tokens are not read."""

    def __init__(self, config: Idefics2Connector, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        self.modality_projection = GatedMLP(
            width, config.ff_width, out=host_width, activation=config.activation
        )
        self.perceiver_resampler = _LatentReads(config, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        context = self.modality_projection(features.tokens)
        return Tokens(self.perceiver_resampler(context, self._permission(features)))

    def _permission(self, features: Features) -> Permission:
        if features.valid is None:
            return Permission()
        count = self.config.latents
        own = features.valid.new_ones(features.valid.shape[0], count)
        keys = torch.cat([features.valid, own], dim=1)
        return Permission(dense=keys.unsqueeze(1).expand(-1, count, -1))
