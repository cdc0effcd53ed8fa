"""The Q-Former: queries read an image, and what is asked about it, and what was browsed of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.connectors.qformer_layers import QueryingTransformer
from chiasm.spec import Work
from chiasm.spec.work import attention, linear


@dataclass(frozen=True, kw_only=True)
class QFormer:
    """`latents` learned queries become the tokens of an image (BLIP-2, arXiv 2301.12597, 3.1).

    Queries and the words that are asked attend to each other; in every `cross_every`-th layer,
    from the first, the queries also read the features; each kind has a feed-forward of its own
    (InstructBLIP, arXiv 2305.06500). Post-norm, x = LN(x + f(x)), from LN([queries + c; words]),
    where c is zero unless the connector `browses`: then the whole model has read the prompt once
    without it, c = W h + b of the last prompt row's final hidden state h, added to every query
    of every image (Browse and Concentrate, arXiv 2402.12195), and W, b start at zero. No gradient
    reaches the browsing pass. The last hidden states are projected to the host's width.
    """

    latents: int
    depth: int
    heads: int
    head_width: int
    ff_width: int
    vocabulary: int = 0
    """Words in the connector's own table; a host's id must lie in it. 0: it reads no words, and has
    neither tables nor feed-forwards of them (BLIP-2)."""
    most_words: int = 512
    """Places of words; longer questions are read up to it."""
    cross_every: int = 2
    norm_eps: float = 1e-12
    browses: bool = False
    layerwise: bool = False

    def __post_init__(self) -> None:
        if self.browses and not self.vocabulary:
            raise ValueError("a Q-Former that reads no words cannot browse; give it a vocabulary")

    @property
    def conditioned(self) -> bool:
        return self.vocabulary > 0

    @property
    def inner(self) -> int:
        """Width of queries and words."""
        return self.heads * self.head_width

    def count(self, grid: tuple[int, int]) -> int:
        return self.latents

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return QueryingTransformer(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        """What the queries do."""
        tokens, queries, inner = grid[0] * grid[1], self.latents, self.inner
        own = (
            linear("connector", "query, key and value", queries, inner, 3 * inner),
            attention("connector", "among queries", queries**2, self.heads, self.head_width),
            linear("connector", "output", queries, inner, inner),
            linear("connector", "feed-forward", queries, inner, 2 * self.ff_width),
        )
        reads = (
            linear("connector", "query of features", queries, inner, inner),
            linear("connector", "key and value of features", tokens, width, 2 * inner),
            attention("connector", "read", queries * tokens, self.heads, self.head_width),
            linear("connector", "output of features", queries, inner, inner),
        )
        return (
            *own * self.depth,
            *reads * -(-self.depth // self.cross_every),
            linear("connector", "projection", queries, inner, host_width),
        )

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        """What words add; in the last layer they are read, and do nothing more."""
        words, queries, inner = min(text, self.most_words), self.latents, self.inner
        read = (
            linear("connector", "key and value of words", words, inner, 2 * inner),
            attention("connector", "queries on words", queries * words, *self._shape),
        )
        think = (
            linear("connector", "query of words", words, inner, inner),
            attention("connector", "words", words * (words + queries), *self._shape),
            linear("connector", "output of words", words, inner, inner),
            linear("connector", "feed-forward of words", words, inner, 2 * self.ff_width),
        )
        return (*read * self.depth, *think * (self.depth - 1))

    def browsed_work(self, host_width: int) -> Sequence[Work]:
        return (linear("connector", "condition", 1, host_width, self.inner),)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.heads, self.head_width
