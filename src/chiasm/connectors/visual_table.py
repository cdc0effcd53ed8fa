"""A visual vocabulary: every token becomes a distribution over a learned embedding table (Ovis)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.shuffle import space_to_depth
from chiasm.connectors.tiled_patches import laid_out, own_grids
from chiasm.errors import Misuse
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens

Choice = Literal["softmax", "argmax"]


@dataclass(frozen=True, kw_only=True)
class VisualTable:
    """sum_k p_k V_k with p = softmax(LN(W s(x))) (Ovis, arXiv 2405.20797).

    V holds `vocabulary` rows, of which the last `indicators` are no words of images but marks
    around them: the first stands before an image's tokens, the others behind. s concatenates
    blocks of `stride x stride` tokens, a grid that has no whole blocks padded with zeros. `argmax`
    takes the likeliest row alone and passes the gradient of the distribution.
    """

    vocabulary: int
    indicators: int = 2
    stride: int = 1
    choice: Choice = "softmax"
    norm_eps: float = 1e-5
    layerwise: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.indicators < self.vocabulary:
            raise Misuse(
                f"{self.indicators} indicators of {self.vocabulary} rows; keep one row for words "
                "and one for a mark at least"
            )
        if self.choice not in get_args(Choice):
            known = ", ".join(get_args(Choice))
            raise Misuse(f"choice is one of {known}, not {self.choice!r}")

    @property
    def conditioned(self) -> bool:
        return False

    @property
    def words(self) -> int:
        """Rows that a token chooses among."""
        return self.vocabulary - self.indicators

    def blocks(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of blocks; a part of one counts."""
        return -(-grid[0] // self.stride), -(-grid[1] // self.stride)

    def count(self, grid: tuple[int, int]) -> int:
        rows, columns = self.blocks(grid)
        return rows * columns + self.indicators

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "VisualWords":
        return VisualWords(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid) - self.indicators
        return (
            linear("connector", "visual words", tokens, width * self.stride**2, self.words),
            linear("connector", "embedding table", tokens, self.words, host_width),
        )


class VisualWords(nn.Module):
    """`[image, token, width]` to `[image, mark + blocks + marks, host width]`."""

    def __init__(self, config: VisualTable, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(width * config.stride**2, config.words, bias=False)
        self.norm = nn.LayerNorm(config.words, eps=config.norm_eps)
        self.table = nn.Embedding(config.vocabulary, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Images of other sizes than the largest are read on their own grids."""
        if features.valid is None:
            return Tokens(self._marked(features))
        maps = features.tokens.unflatten(1, features.grid)
        return laid_out(
            [
                self._marked(Features(one[: grid[0], : grid[1]].flatten(0, 1)[None], grid))[0]
                for one, grid in zip(maps, own_grids(features), strict=True)
            ]
        )

    def _marked(self, features: Features) -> Float[Tensor, "image token width"]:
        words, marks = self.table.weight.tensor_split([self.config.words])
        tokens = self.chosen(features) @ words
        marks = marks.expand(tokens.shape[0], -1, -1)
        return torch.cat([marks[:, :1], tokens, marks[:, 1:]], dim=1)

    def chosen(self, features: Features) -> Float[Tensor, "image block word"]:
        """How much of each row of the table every block takes; the entries sum to 1."""
        scores = self.norm(self.head(self._blocks(features)))
        soft = scores.softmax(-1)
        if self.config.choice == "softmax":
            return soft
        likeliest = soft.argmax(-1, keepdim=True)
        hard = torch.zeros_like(soft).scatter(-1, likeliest, 1.0)
        return hard + soft - soft.detach()

    def _blocks(self, features: Features) -> Float[Tensor, "image block wider"]:
        stride, (rows, columns) = self.config.stride, features.grid
        if stride == 1:
            return features.tokens
        down, right = self.config.blocks(features.grid)
        missing = (0, 0, 0, right * stride - columns, 0, down * stride - rows)
        maps = nn.functional.pad(features.tokens.unflatten(1, (rows, columns)), missing)
        return space_to_depth(maps.flatten(1, 2), (down * stride, right * stride), stride)
