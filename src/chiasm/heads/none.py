"""The null answer: hidden states come out as they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work


@dataclass(frozen=True)
class NoHead(DrawsNothing, PointsNowhere):
    """No scores; what a headless checkpoint (`LlamaModel`, …) gives."""

    def build(self, host: Host, embeddings: nn.Embedding) -> "HiddenStates":
        return HiddenStates()

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return ()


class HiddenStates(nn.Module):
    """`[row, width]` to the same."""

    def emit(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row width"]:
        return hidden
