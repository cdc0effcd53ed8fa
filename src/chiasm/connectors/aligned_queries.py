"""Learned queries after an image, taught to say what a vision encoder would have seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.learned_rows import LearnedRows, LearnedRowsConnector
from chiasm.spec import Encoder, Work
from chiasm.stream import Asked, Features, Inputs, Tokens


@dataclass(frozen=True, kw_only=True)
class AlignedQueries:
    """Rows of an image, then as many queries as the teacher's map has cells after pooling by each
    of `strides` (BREEN, arXiv 2503.12446). While teaching, with t_q the pooled features,
    projected to the host's width, and h_q the final hidden state one row before query q,

        loss = scale * sum over strides of mean_q (1 - cos(h_q, t_q)).

    The teacher sees the images at `side` pixels, learns nothing, and is no part of the model:
    neither its weights are kept nor does answering run it.
    """

    teacher: Encoder
    side: int
    strides: tuple[int, ...]
    scale: float
    layerwise: bool = False
    finds_rows: ClassVar[bool] = True
    """Its loss reads what the host made of each of its tokens."""

    @property
    def conditioned(self) -> bool:
        return False

    @property
    def cells(self) -> tuple[int, ...]:
        """Queries of each stride."""
        rows, columns = self.teacher.grid((self.side, self.side))
        return tuple((rows // stride) * (columns // stride) for stride in self.strides)

    @property
    def rows(self) -> LearnedRows:
        return LearnedRows(first=False, split=False, queries=sum(self.cells))

    def count(self, grid: tuple[int, int]) -> int:
        return self.rows.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "AlignedQueriesConnector":
        return AlignedQueriesConnector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.rows.work(grid, width, host_width)


class AlignedQueriesConnector(nn.Module):
    """`[image, patch, width]` to `[image, patch + queries, host width]`, and the queries' loss."""

    def __init__(self, config: AlignedQueries, width: int, out: int) -> None:
        super().__init__()
        self.config = config
        self.entering = LearnedRowsConnector(config.rows, width, out)
        self.teacher_proj = nn.Linear(config.teacher.width, out)
        # Unregistered: neither parameters nor checkpoints know of the teacher.
        self._teacher: list[nn.Module] = []

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return self.entering.connect(features)

    def align(
        self, hidden: Float[Tensor, "batch token width"], inputs: Inputs
    ) -> Float[Tensor, ""]:
        """The loss of every query row of a batch; 0 where there is none."""
        source, owners = inputs.source, inputs.owners
        if inputs.images is None or owners is None or not bool((source >= 0).any()):
            return hidden.new_zeros(())
        targets, queries = self._targets(inputs.images), sum(self.config.cells)
        sample, row = (source >= 0).nonzero(as_tuple=True)
        item = inputs.table.item[sample, row] - 1
        # Every view has one size here, so every image has as many rows as the first.
        each = int(((sample == sample[0]) & (item == item[0])).sum())
        place = source[sample, row] % each - (each - queries)
        kept = place >= 0
        said = hidden[sample[kept], row[kept] - 1].float()
        image = owners[sample[kept], source[sample[kept], row[kept]] // each]
        apart = 1 - F.cosine_similarity(said, targets[image, place[kept]].float(), dim=-1)
        at, total = 0, apart.new_zeros(())
        for cells in self.config.cells:
            own = (place[kept] >= at) & (place[kept] < at + cells)
            total, at = total + apart[own].mean(), at + cells
        return self.config.scale * total

    def _targets(self, images: Tensor) -> Float[Tensor, "image query width"]:
        """Pooled maps of the teacher, finest first, in the host's width."""
        if not self._teacher:
            teacher = self.config.teacher.build()
            assert teacher is not None
            self._teacher.append(teacher.eval().requires_grad_(False))
        teacher = self._teacher[0].to(images.device)
        size = (self.config.side, self.config.side)
        with torch.no_grad():
            seen: Features = teacher(F.interpolate(images, size, mode="bilinear", antialias=True))
        maps = seen.tokens.transpose(1, 2).unflatten(2, seen.grid)
        pooled = [F.avg_pool2d(maps, stride).flatten(2) for stride in self.config.strides]
        return self.teacher_proj(torch.cat(pooled, dim=2).transpose(1, 2))
