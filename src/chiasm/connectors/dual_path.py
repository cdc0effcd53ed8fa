"""Two paths to the host: a Q-Former that hears the question, and every patch by a linear map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from chiasm.connectors.qformer import QFormer
from chiasm.connectors.qformer_layers import QueryingTransformer
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class DualPath:
    """[Q-Former(LN(x), question); W2 (W1 x)]: the former reads `inner` wide features normed, the
    patches pass both maps with nothing between (Veagle, arXiv 2403.08773; BLIVA's two paths, arXiv
    2308.09936).

    W1 is the one on both paths: x -> W1 LN(x) on the former's.
    """

    former: QFormer
    inner: int
    norm_eps: float = 1e-5
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.former.conditioned

    @property
    def browses(self) -> bool:
        return self.former.browses

    def count(self, grid: tuple[int, int]) -> int:
        return self.former.count(grid) + grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "BothPaths":
        return BothPaths(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = grid[0] * grid[1]
        return (
            linear("connector", "projection 1", 2 * tokens, width, self.inner),
            *self.former.work(grid, self.inner, host_width),
            linear("connector", "projection 2", tokens, self.inner, host_width),
        )

    def asked_work(
        self, grid: tuple[int, int], width: int, host_width: int, text: int
    ) -> Sequence[Work]:
        return self.former.asked_work(grid, self.inner, host_width, text)

    def browsed_work(self, host_width: int) -> Sequence[Work]:
        return self.former.browsed_work(host_width)


class BothPaths(nn.Module):
    """`[image, patch, width]` to `[image, query + patch, host width]`."""

    def __init__(self, config: DualPath, width: int, host_width: int) -> None:
        super().__init__()
        self.queries = config.former.latents
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.narrow = nn.Linear(width, config.inner)
        self.widen = nn.Linear(config.inner, host_width)
        self.former = config.former.build(config.inner, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Padded patches come last and stay invalid."""
        read = replace(features, tokens=self.narrow(self.norm(features.tokens)))
        queries = cast(QueryingTransformer, self.former).connect(read, asked).embeddings
        patches = self.widen(self.narrow(features.tokens))
        valid = features.valid
        if valid is not None:
            valid = F.pad(valid, (self.queries, 0), value=True)
        return Tokens(torch.cat([queries, patches], 1), valid)
