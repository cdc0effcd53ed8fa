"""Terms beside the contrastive loss: structure kept, other outputs, nested sizes, classes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.errors import Misuse
from chiasm.objectives import Contrastive, Structure
from chiasm.retrieval.embedding import Embedding, Single


@dataclass(frozen=True, kw_only=True)
class KeepStructure:
    """weight * mean over towers of R(reduced originals, projected), each tower's own items
    (STRUCTURE, arXiv 2506.16895). No gradient reaches the originals.
    """

    structure: Structure
    weight: float
    name: str = "structure"

    def build(self, widths: dict[str, int]) -> nn.Module:
        return _Term(self.judge)

    def judge(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        found: list[Tensor] = []
        for read in (of.queries, of.candidates):
            for name, made in read.made.items():
                own = made.present
                originals = read.reduced[name].tokens[own, 0], made.tokens[own, 0]
                found.append(self.structure.judge(*originals))
        return self.weight * torch.stack(found).mean()


@dataclass(frozen=True, kw_only=True)
class OtherOutput:
    """weight * contrast of another of the outputs, compared by a score of its own."""

    output: int
    score: Any
    contrast: Contrastive
    weight: float = 1.0
    name: str = "other output"

    def build(self, widths: dict[str, int]) -> nn.Module:
        return _Term(self.judge)

    def scores(self, of: Round) -> Tensor:
        queries, documents = (side.outputs[self.output] for side in (of.queries, of.candidates))
        return self.score.build()(queries, documents)

    def judge(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        return self.weight * self.contrast.judge(self.scores(of), of.targets)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """weight * KL(softmax(first / t) || softmax(other / t)) over a query's candidates: two outputs
    rank alike (jina-embeddings-v4, arXiv 2506.18902). 0 where the rows of scores match.
    """

    other: OtherOutput
    temperature: float
    weight: float = 1.0
    name: str = "agreement"

    def build(self, widths: dict[str, int]) -> nn.Module:
        return _Term(self.judge)

    def judge(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        rows = (scores, self.other.scores(of))
        first, other = ((one.float() / self.temperature).log_softmax(-1) for one in rows)
        return self.weight * (first.exp() * (first - other)).sum(-1).mean()


@dataclass(frozen=True, kw_only=True)
class NestedSizes:
    """weight * mean of the contrast over prefixes of the vectors, each at length one again
    (Matryoshka, arXiv 2205.13147).
    """

    sizes: tuple[int, ...]
    contrast: Contrastive
    weight: float = 1.0
    name: str = "nested sizes"

    def build(self, widths: dict[str, int]) -> nn.Module:
        return _Term(self.judge)

    def judge(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        queries, documents = (_single(side.embedding) for side in (of.queries, of.candidates))
        losses = [
            self.contrast.judge(
                scorer(queries.truncated(size), documents.truncated(size)), of.targets
            )
            for size in self.sizes
        ]
        return self.weight * torch.stack(losses).mean()


@dataclass(frozen=True, kw_only=True)
class Classes:
    """weight * mean cross-entropy of the class, by one linear map of vectors: of what a tower made
    of each document, or, without a tower, of every query and every document.

    A class is a pair's concept; `classes` is the most there are.
    """

    tower: str | None = None
    classes: int
    weight: float = 1.0
    name: str = "classes"

    def build(self, widths: dict[str, int]) -> "Classifier":
        if self.tower is not None:
            return Classifier(self, widths[self.tower])
        (width,) = set(widths.values())
        return Classifier(self, width)


class Classifier(nn.Module):
    """`[item, width]` to scores of classes, judged by the items' groups."""

    def __init__(self, config: Classes, width: int) -> None:
        super().__init__()
        self.config, self.classify = config, nn.Linear(width, config.classes)

    def forward(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        """Raises Misuse where a class is beyond the classifier's."""
        if int(of.groups.max()) >= self.config.classes:
            raise Misuse(
                f"class {int(of.groups.max())} of a classifier of {self.config.classes}; "
                "state more classes"
            )
        losses = [
            nn.functional.cross_entropy(self.classify(made), kinds.to(made.device))
            for made, kinds in self._told(of)
        ]
        return self.config.weight * torch.stack(losses).mean()

    def _told(self, of: Round) -> list[tuple[Tensor, Tensor]]:
        """Vectors and their classes."""
        if self.config.tower is not None:
            return [(of.candidates.made[self.config.tower].tokens[:, 0], of.groups)]
        sides = (of.queries, of.groups[: of.count]), (of.candidates, of.groups)
        return [(_single(side.embedding).vectors, kinds) for side, kinds in sides]


class _Term(nn.Module):
    """A term without weights of its own."""

    def __init__(self, judge: Any) -> None:
        super().__init__()
        self._judge = judge

    def forward(self, of: Round, scores: Tensor, scorer: nn.Module) -> Tensor:
        return self._judge(of, scores, scorer)


def _single(of: Embedding) -> Single:
    if not isinstance(of, Single):
        raise Misuse("sizes are nested in single vectors; this output has many")
    return of
