"""The class token of several layers, each a token of the host, by one map that they share."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class ClassTokens:
    """W x_l + b for the first token x_l of each of `levels` layers, shallow ones first (eP-ALM's
    shared form, arXiv 2303.11403). The layers come side by side along the width.
    """

    levels: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.levels

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "ClassTokensConnector":
        return ClassTokensConnector(self.levels, self._each(width), host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return (linear("connector", "projection", self.levels, self._each(width), host_width),)

    def _each(self, width: int) -> int:
        if width % self.levels:
            raise Misuse(
                f"features of width {width} are not {self.levels} layers side by side; read as "
                "many layers of the encoder"
            )
        return width // self.levels


class ClassTokensConnector(nn.Module):
    """`[image, 1 + patch, levels * width]` to `[image, levels, host width]`."""

    def __init__(self, levels: int, width: int, host_width: int) -> None:
        super().__init__()
        self.levels = levels
        self.proj = nn.Linear(width, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        classes: Float[Tensor, "image level width"]
        classes = features.tokens[:, 0].unflatten(-1, (self.levels, -1))
        return Tokens(self.proj(classes))
