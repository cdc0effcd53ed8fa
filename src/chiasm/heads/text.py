"""Text comes out: scores over the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.layers import Linear
from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work
from chiasm.spec.work import linear


@dataclass(frozen=True)
class TextHead(DrawsNothing, PointsNowhere):
    """A linear map to the vocabulary, tied to the word embeddings where the host says so.

    The last `unsaid` ids of the vocabulary can be read but get no score (Llama 3.2 Vision's image
    token and its like).
    """

    unsaid: int = 0

    def build(self, host: Host, embeddings: nn.Embedding) -> "TextScores":
        return TextScores(host, embeddings, self.unsaid)

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return (linear("head", "vocabulary", rows, host.width, host.vocabulary - self.unsaid),)


class TextScores(nn.Module):
    """`[row, width]` hidden states to `[row, vocabulary]` logits."""

    def __init__(self, host: Host, embeddings: nn.Embedding, unsaid: int = 0) -> None:
        super().__init__()
        if host.tied_head and unsaid:
            raise ValueError(f"a tied head scores every word, but {unsaid} are unsaid; untie it")
        self.lm_head = Linear(host.width, host.vocabulary - unsaid, bias=False)
        self.scale = host.logit_scale
        if host.tied_head:
            self.lm_head.weight = embeddings.weight

    def emit(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row vocabulary"]:
        scores = self.lm_head(hidden)
        return scores if self.scale == 1.0 else scores * self.scale
