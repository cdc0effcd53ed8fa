"""Text and pictures come out, each in a vocabulary of its own: words, and codes of a quantiser."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.heads.text import TextScores
from chiasm.spec import DrawsNothing, Host, Work
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class CodeHead(DrawsNothing):
    """Decoupled vocabularies (OmniMamba, arXiv 2503.08686): the task selects the head.

    Words are scored by the word embeddings where the host ties them, codes by the code embeddings.
    A code enters as W3 gelu(W2 gelu(W1 e)), W1 `expansion` times as wide; a caption's words, on
    their way to a picture, through W2 gelu(W1 e) without biases; both with learned places.
    """

    codes: int
    """Size of the quantiser's codebook."""
    rows: int
    """Codes of a picture."""
    caption: int
    """Most rows of text before them."""
    expansion: int = 4

    def build(self, host: Host, embeddings: nn.Embedding) -> "TextAndCodes":
        return TextAndCodes(self, host, embeddings)

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return (linear("head", "vocabulary", rows, host.width, host.vocabulary),)

    def picture_work(self, host: Host, caption: int) -> Sequence[Work]:
        """Multiply-adds of a picture's codes on their way in and out, behind so many words."""
        width = host.width
        return (
            linear("head", "codes in", self.rows, width, (2 * self.expansion + 1) * width),
            linear("head", "caption in", caption, width, 2 * width),
            linear("head", "codes", self.rows, width, self.codes),
        )


class CodeEnds(nn.Module):
    """Where the rows of a picture in the making enter the stream and leave it."""

    def __init__(self, config: CodeHead, width: int) -> None:
        super().__init__()
        self.config = config
        hidden = config.expansion * width
        self.embed = nn.Embedding(config.codes, width)
        self.positions = nn.Embedding(config.caption + config.rows, width)
        self.enter_proj = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
            nn.GELU(),
            nn.Linear(width, width),
        )
        self.caption_proj = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.GELU(), nn.Linear(width, width, bias=False)
        )
        for table in (self.embed, self.positions):
            nn.init.normal_(table.weight, std=0.02)


class TextAndCodes(TextScores):
    """`[row, width]` hidden states to scores of words (`emit`), or of codes."""

    def __init__(self, config: CodeHead, host: Host, embeddings: nn.Embedding) -> None:
        super().__init__(host, embeddings)
        self.pictures = CodeEnds(config, host.width)

    def enter_codes(
        self, codes: Int[Tensor, "batch row"], first: int
    ) -> Float[Tensor, "batch row width"]:
        """Rows of the codes of a picture, the first of which stands at place `first`."""
        ends = self.pictures
        return ends.enter_proj(ends.embed(codes)) + self._places(first, codes.shape[1])

    def enter_caption(
        self, words: Float[Tensor, "batch row width"]
    ) -> Float[Tensor, "batch row width"]:
        """Rows of the words of a caption, from their embeddings; they stand first."""
        return self.pictures.caption_proj(words) + self._places(0, words.shape[1])

    def codes(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row code"]:
        """Scores of the code that follows each row."""
        return nn.functional.linear(hidden, self.pictures.embed.weight)

    def _places(self, first: int, count: int) -> Float[Tensor, "row width"]:
        table = self.pictures.positions.weight
        if first + count > table.shape[0]:
            raise ValueError(
                f"{first + count} rows of caption and picture, {table.shape[0]} places are learned"
            )
        return table[torch.arange(first, first + count, device=table.device)]
