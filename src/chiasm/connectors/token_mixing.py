"""EMMA: every visual token is a learned combination of image tokens and words of the question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.asked_words import WordReader
from chiasm.errors import Misuse
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class TokenMixing:
    """A [V; gelu(W T)] + b over the token axis, then LLaVA-1.5's MLP (EMMA, arXiv 2410.02080).

    V holds `patches` image features, T the first `most_words` words that are asked, as `reader`
    reads them; what is missing of them counts as zeros. A is `patches x (patches + most_words)`,
    the same for every channel, and starts as [I | 0] with b = 0: a fresh connector is LLaVA's. One
    matrix over the token axis fixes the number of tokens; a tile is a call.
    """

    reader: WordReader
    patches: int
    most_words: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return True

    @property
    def browses(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        if grid[0] * grid[1] != self.patches:
            raise Misuse(
                f"a grid of {grid[0]} x {grid[1]} tokens does not fit a mixture of {self.patches}; "
                "one matrix over the token axis fixes their number"
            )
        return self.patches

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "MixedTokens":
        return MixedTokens(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid)
        return (
            linear("connector", "mixing of patches", width, tokens, tokens),
            linear("connector", "projection 1", tokens, width, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        words = min(text, self.most_words)
        return (
            *self.reader.work(words),
            linear("connector", "words", words, self.reader.out_width(host_width), width),
            linear("connector", "mixing of words", width, words, self.count(grid)),
        )


class MixedTokens(nn.Module):
    """`[image, patches, width]` to `[image, patches, host width]`."""

    def __init__(self, config: TokenMixing, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        self.reader = config.reader.build(config.most_words)
        self.word_proj = nn.Linear(config.reader.out_width(host_width), width)
        self.mixing = nn.Linear(config.patches + config.most_words, config.patches)
        nn.init.eye_(self.mixing.weight)
        nn.init.zeros_(self.mixing.bias)
        self.mlp = nn.Sequential(
            nn.Linear(width, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )

    def mix(
        self, features: Float[Tensor, "image patch width"], asked: Asked | None
    ) -> Float[Tensor, "image patch width"]:
        """The combinations; an image about which nothing is asked has no words."""
        patches = self.config.patches
        mixed = self.mixing.weight[:, :patches] @ features + self.mixing.bias.unsqueeze(-1)
        if asked is None or not asked.ids.shape[1]:
            return mixed
        words = self.words(asked)
        return mixed + self.mixing.weight[:, patches : patches + words.shape[1]] @ words

    def words(self, asked: Asked) -> Float[Tensor, "image word width"]:
        """gelu(W T) of the first words, zeros where a question has fewer."""
        most = self.config.most_words
        heard = asked.valid[:, :most]
        first = replace(
            asked, ids=asked.ids[:, :most], embeddings=asked.embeddings[:, :most], valid=heard
        )
        said = nn.functional.gelu(self.word_proj(self.reader(first)))
        return torch.where(heard.unsqueeze(-1), said, 0.0)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return Tokens(self.mlp(self.mix(features.tokens, asked)), features.valid, features.grid)
