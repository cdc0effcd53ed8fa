"""Image codes become rows by a table of their own, as words do."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.spec import Work
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True)
class CodeEmbedding:
    """One row of a table `[codes, host width]` for each image code (early fusion, Chameleon, arXiv
    2405.09818).
    """

    codes: int
    initial_std: float
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "CodeTable":
        return CodeTable(self, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return ()


class CodeTable(nn.Module):
    """Ids `[image, token, 1]` to `[image, token, host width]`."""

    def __init__(self, config: CodeEmbedding, host_width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(config.codes, host_width)
        nn.init.normal_(self.table.weight, std=config.initial_std)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return Tokens(self.table(features.tokens.squeeze(-1).long()), features.valid)
