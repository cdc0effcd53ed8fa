"""One set of latents reads several encoders: as many tokens as for one (PAL's ensemble)."""

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
class SharedLatents:
    """z = Q + sum_e O attention(W_q LN(Q), K_e LN(f_e), V_e LN(f_e)); then W z to the host's width.

    Q are `latents` learned rows; f_e is the e-th of `parts` equal shares of the features' channels,
    one encoder each (`chiasm.encoders.ChannelConcat`). Which latents read which encoder, and the
    sum, are ours (arXiv 2506.10423 leaves them open).
    """

    latents: int
    parts: int
    heads: int
    head_width: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.latents if grid[0] * grid[1] else 0

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return LatentsOfMany(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, own = grid[0] * grid[1], width // self.parts
        inner = self.heads * self.head_width
        pairs = self.latents * tokens
        return (
            linear("connector", "latents' query", self.latents, own, inner),
            *(
                work
                for _ in range(self.parts)
                for work in (
                    linear("connector", "key and value", tokens, own, 2 * inner),
                    attention("connector", "read", pairs, self.heads, self.head_width),
                    linear("connector", "output", self.latents, inner, own),
                )
            ),
            linear("connector", "projection", self.latents, own, host_width),
        )


class LatentsOfMany(nn.Module):
    """`[image, token, parts * width]` to `[image, latents, host width]`."""

    def __init__(self, config: SharedLatents, width: int, host_width: int) -> None:
        super().__init__()
        if width % config.parts:
            raise ValueError(f"{width} channels are not {config.parts} equal shares")
        own, inner = width // config.parts, config.heads * config.head_width
        self.heads, self.parts = config.heads, config.parts
        self.latents = nn.Parameter(torch.randn(config.latents, own) * own**-0.5)
        self.norm = nn.LayerNorm(own)
        self.to_q = nn.Linear(own, inner, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(own) for _ in range(config.parts))
        self.to_kv = nn.ModuleList(nn.Linear(own, 2 * inner) for _ in range(config.parts))
        self.to_out = nn.Linear(inner, own, bias=False)
        self.proj = nn.Linear(own, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        images, count = features.tokens.shape[0], self.latents.shape[0]
        q = split_heads(self.to_q(self.norm(self.latents)).expand(images, -1, -1), self.heads)
        z: Float[Tensor, "image latent width"] = self.latents.expand(images, -1, -1)
        valid = features.valid
        dense = None if valid is None else valid.unsqueeze(1).expand(-1, count, -1)
        shares = features.tokens.chunk(self.parts, -1)
        for share, norm, to_kv in zip(shares, self.norms, self.to_kv, strict=True):
            k, v = (split_heads(part, self.heads) for part in to_kv(norm(share)).chunk(2, -1))
            z = z + self.to_out(merge_heads(attend(q, k, v, Permission(dense=dense))))
        return Tokens(self.proj(z))
