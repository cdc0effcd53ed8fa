"""Text and pictures come out, each in a vocabulary of its own: words, and codes of a quantiser."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.heads.text import TextScores
from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class CodeHead(DrawsNothing, PointsNowhere):
    """Decoupled vocabularies (OmniMamba, arXiv 2503.08686): the task selects the head.

    Words are scored by the word embeddings where the host ties them, codes by the code embeddings.
    A code enters as W3 gelu(W2 gelu(W1 e)), W1 `expansion` times as wide; a caption's words, on
    their way to a picture, through W2 gelu(W1 e) without biases; both with learned places, the
    picture's after the caption's, whose number they do not depend on. Codes come out one after
    another (`chiasm.coding`); no latent is drawn.
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
        self, codes: Int[Tensor, "batch row"], place: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch row width"]:
        """Rows of codes; `place` is a code's number in its picture."""
        ends = self.pictures
        place = _checked(place, ends.config.rows, "code")
        return ends.enter_proj(ends.embed(codes)) + ends.positions(place + ends.config.caption)

    def enter_caption(
        self, words: Float[Tensor, "batch row width"], place: Int[Tensor, "batch row"]
    ) -> Float[Tensor, "batch row width"]:
        """Rows of the words of a caption, from their embeddings; `place` is a word's number."""
        place = _checked(place, self.pictures.config.caption, "word of a caption")
        return self.pictures.caption_proj(words) + self.pictures.positions(place)

    def codes(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row code"]:
        """Scores of the code that follows each row."""
        return nn.functional.linear(hidden, self.pictures.embed.weight)


def _checked(place: Int[Tensor, "batch row"], places: int, what: str) -> Int[Tensor, "batch row"]:
    if place.numel() and int(place.max()) >= places:
        raise ValueError(f"{what} {int(place.max())} has no place: {places} are learned, from 0")
    return place
