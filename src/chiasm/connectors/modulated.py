"""MoDA: what is asked says which channels of every visual token are heard."""

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
class Modulated:
    """V * sigmoid(W F(V, T)), V the tokens of LLaVA-1.5's MLP, T the word embeddings of the prompt
    (MoDA, arXiv 2506.01850).

    F is a post-norm transformer decoder of `depth` layers: V reads V, then T, then thinks,
    x = LN(x + f(x)) each time. The mask is per token and channel, and nothing is added back: at
    first values shrink to around half. Answers and padding are no part of T.
    """

    heads: int
    head_width: int
    ff_width: int
    depth: int = 2
    dropout: float = 0.1
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return True

    @property
    def browses(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "ModulatedMLP":
        return ModulatedMLP(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, inner = self.count(grid), self.heads * self.head_width
        each = (
            linear("connector", "query, key and value", tokens, host_width, 3 * inner),
            attention("connector", "among tokens", tokens**2, self.heads, self.head_width),
            linear("connector", "output", tokens, inner, host_width),
            linear("connector", "query of words", tokens, host_width, inner),
            linear("connector", "output of words", tokens, inner, host_width),
            linear("connector", "feed-forward", tokens, host_width, 2 * self.ff_width),
        )
        return (
            linear("connector", "projection 1", tokens, width, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
            *each * self.depth,
            linear("connector", "mask", tokens, host_width, host_width),
        )

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        inner, pairs = self.heads * self.head_width, self.count(grid) * text
        each = (
            linear("connector", "key and value of words", text, host_width, 2 * inner),
            attention("connector", "read of words", pairs, self.heads, self.head_width),
        )
        return each * self.depth


class Read(nn.Module):
    """Multi-head attention with biases: `[batch, query, width]` reads `[batch, key, width]`."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.output = nn.Linear(inner, width)

    def forward(self, x: Tensor, source: Tensor, permission: Permission) -> Tensor:
        q, k, v = (
            split_heads(part, self.heads)
            for part in (self.query(x), self.key(source), self.value(source))
        )
        return self.output(merge_heads(attend(q, k, v, permission)))


class ModulationLayer(nn.Module):
    """x = LN(x + among(x)); x = LN(x + words(x, T)); x = LN(x + W2 gelu(W1 x))."""

    def __init__(self, config: Modulated, width: int) -> None:
        super().__init__()
        self.among, self.words = (Read(width, config.heads, config.head_width) for _ in range(2))
        self.expand = nn.Linear(width, config.ff_width)
        self.contract = nn.Linear(config.ff_width, width)
        self.norm_among, self.norm_words, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, words: Tensor, among_x: Permission, among_words: Permission
    ) -> Tensor:
        x = self.norm_among(x + self.dropout(self.among(x, x, among_x)))
        x = self.norm_words(x + self.dropout(self.words(x, words, among_words)))
        hidden = self.dropout(nn.functional.gelu(self.expand(x)))
        return self.norm(x + self.dropout(self.contract(hidden)))


class ModulatedMLP(nn.Module):
    """`[image, token, width]` to `[image, token, host width]`, in the light of what is asked."""

    def __init__(self, config: Modulated, width: int, host_width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )
        self.layers = nn.ModuleList(
            ModulationLayer(config, host_width) for _ in range(config.depth)
        )
        self.to_mask = nn.Linear(host_width, host_width, bias=False)
        nn.init.xavier_uniform_(self.to_mask.weight)

    def mask(
        self, tokens: Float[Tensor, "image token width"], features: Features, asked: Asked | None
    ) -> Float[Tensor, "image token width"]:
        """How much of every channel is heard, in (0, 1). With nothing asked, nothing is read."""
        images, count = tokens.shape[:2]
        if asked is None:
            words = tokens.new_zeros(images, 1, tokens.shape[2])
            heard = torch.zeros(images, 1, dtype=torch.bool, device=tokens.device)
        else:
            words, heard = asked.embeddings, asked.valid
        among_words = Permission(dense=heard.unsqueeze(1).expand(-1, count, -1))
        among = Permission()
        if features.valid is not None:
            among = Permission(dense=features.valid.unsqueeze(1).expand(-1, count, -1))
        hidden = tokens
        for layer in self.layers:
            hidden = layer(hidden, words, among, among_words)
        return self.to_mask(hidden).sigmoid()

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens = self.mlp(features.tokens)
        modulated = tokens * self.mask(tokens, features, asked)
        return Tokens(modulated, features.valid, features.grid)
