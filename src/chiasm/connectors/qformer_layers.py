"""The layers of a Q-Former: post-norm, queries and words side by side."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import Asked, Features, Permission, Tokens


class Sizes(Protocol):
    """What the layers need to know of a Q-Former."""

    @property
    def latents(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def inner(self) -> int: ...
    @property
    def ff_width(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def most_words(self) -> int: ...
    @property
    def cross_every(self) -> int: ...
    @property
    def norm_eps(self) -> float: ...
    @property
    def browses(self) -> bool: ...


class Read(nn.Module):
    """LN(x + W_o attention(x, source)): multi-head attention with biases, its residual and norm."""

    def __init__(self, sizes: Sizes, source_width: int) -> None:
        super().__init__()
        inner = sizes.inner
        self.heads = sizes.heads
        self.query = nn.Linear(inner, inner)
        self.key, self.value = (nn.Linear(source_width, inner) for _ in range(2))
        self.output = nn.Linear(inner, inner)
        self.norm = nn.LayerNorm(inner, eps=sizes.norm_eps)

    def forward(self, x: Tensor, source: Tensor, permission: Permission) -> Tensor:
        q, k, v = (
            split_heads(part, self.heads)
            for part in (self.query(x), self.key(source), self.value(source))
        )
        return self.norm(x + self.output(merge_heads(attend(q, k, v, permission))))


class Think(nn.Module):
    """LN(x + W2 gelu(W1 x))."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.expand = nn.Linear(sizes.inner, sizes.ff_width)
        self.contract = nn.Linear(sizes.ff_width, sizes.inner)
        self.norm = nn.LayerNorm(sizes.inner, eps=sizes.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.contract(nn.functional.gelu(self.expand(x))))


class QFormerLayer(nn.Module):
    """Queries and words read each other; queries read features where the layer crosses.

    Of the last layer only the queries come out: there, words have no feed-forward.
    """

    def __init__(self, sizes: Sizes, width: int, layer: int) -> None:
        super().__init__()
        self.queries = sizes.latents
        self.among = Read(sizes, sizes.inner)
        self.features = Read(sizes, width) if layer % sizes.cross_every == 0 else None
        self.think = Think(sizes)
        further = sizes.vocabulary and layer < sizes.depth - 1
        self.think_words = Think(sizes) if further else None

    def forward(
        self, x: Tensor, features: Tensor, among: Permission, of_features: Permission
    ) -> Tensor:
        """`[image, query + word, inner]` to the same, or to the queries in the last layer."""
        if self.think_words is None:
            queries, words = self.among(x[:, : self.queries], x, self._first(among)), None
        else:
            read = self.among(x, x, among)
            queries, words = read[:, : self.queries], read[:, self.queries :]
        if self.features is not None:
            queries = self.features(queries, features, of_features)
        queries = self.think(queries)
        if self.think_words is None or words is None or not words.shape[1]:
            return queries
        return torch.cat([queries, self.think_words(words)], 1)

    def _first(self, among: Permission) -> Permission:
        """The queries' part of who reads whom."""
        return among if among.dense is None else Permission(dense=among.dense[:, : self.queries])


class QueryingTransformer(nn.Module):
    """`[image, token, width]` to `[image, query, host width]`."""

    def __init__(self, sizes: Sizes, width: int, host_width: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.queries = nn.Parameter(torch.randn(sizes.latents, sizes.inner) * 0.02)
        self.words = self.places = None
        if sizes.vocabulary:
            self.words = nn.Embedding(sizes.vocabulary, sizes.inner)
            self.places = nn.Embedding(sizes.most_words, sizes.inner)
            for table in (self.words, self.places):
                nn.init.normal_(table.weight, std=0.02)
        self.norm = nn.LayerNorm(sizes.inner, eps=sizes.norm_eps)
        self.layers = nn.ModuleList(QFormerLayer(sizes, width, at) for at in range(sizes.depth))
        self.projection = nn.Linear(sizes.inner, host_width)
        self.condition = None
        if sizes.browses:
            self.condition = nn.Linear(host_width, sizes.inner)
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """With nothing asked the queries read the features alone."""
        rows, heard = self._rows(len(features.tokens), asked)
        hidden = self.norm(rows)
        among = Permission(dense=heard.unsqueeze(1).expand(-1, heard.shape[1], -1))
        of_features = Permission()
        if features.valid is not None:
            count = self.sizes.latents
            of_features = Permission(dense=features.valid.unsqueeze(1).expand(-1, count, -1))
        for layer in self.layers:
            hidden = layer(hidden, features.tokens, among, of_features)
        return Tokens(self.projection(hidden))

    def _rows(
        self, images: int, asked: Asked | None
    ) -> tuple[Float[Tensor, "image row inner"], Tensor]:
        """Queries and words before the first norm, and which of them are real."""
        queries = self.queries.expand(images, -1, -1)
        real = torch.ones(queries.shape[:2], dtype=torch.bool, device=queries.device)
        if asked is None or self.words is None or self.places is None:
            return queries, real
        if self.condition is not None and asked.browse is not None:
            queries = queries + self.condition(asked.browse()).unsqueeze(1)
        most = self.sizes.most_words
        ids, heard = asked.ids[:, :most], asked.valid[:, :most]
        words = self.words(ids.masked_fill(~heard, 0)) + self.places.weight[: ids.shape[1]]
        return torch.cat([queries, words.to(queries.dtype)], 1), torch.cat([real, heard], 1)
