"""DeepStyle's loss (arXiv 1801.03002): classes of items, and a margin between pairs of them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Embedding


@dataclass(frozen=True, kw_only=True)
class ClassesAndMargin:
    """CE(class of query) + CE(class of document) + weight * mean over pairs of
    y d^2 + (1 - y) max(0, margin - d)^2, d their distance, y whether they belong together.

    `classes` is the most there are, `width` that of the joint vectors.
    """

    width: int
    classes: int
    margin: float = 1.0
    weight: float = 1.0

    def build(self, widths: dict[str, int]) -> "ClassesAndMarginJudge":
        return ClassesAndMarginJudge(self)


class ClassesAndMarginJudge(nn.Module):
    """The losses of a round, by name."""

    def __init__(self, config: ClassesAndMargin) -> None:
        super().__init__()
        self.config = config
        self.classify = nn.Linear(config.width, config.classes)

    def forward(self, of: Round, scorer: nn.Module) -> dict[str, Tensor]:
        if int(of.groups.max()) >= self.config.classes:
            raise Misuse(
                f"class {int(of.groups.max())} of a classifier of {self.config.classes}; "
                "state more classes"
            )
        queries, documents = _vectors(of.queries.embedding), _vectors(of.candidates.embedding)
        known = of.groups[: of.count], of.groups
        classes = [
            nn.functional.cross_entropy(self.classify(one), kind)
            for one, kind in zip((queries, documents), known, strict=True)
        ]
        return {
            "classes": torch.stack(classes).sum(),
            "margin": self.config.weight * self.margin(queries, documents, of.targets),
        }

    def margin(self, queries: Tensor, documents: Tensor, together: Tensor) -> Tensor:
        """The mean over all pairs, those that belong together and the others weighing the same."""
        apart = (queries[:, None] - documents[None]).square().sum(-1).clamp(min=1e-12).sqrt()
        near, far = apart.square(), (self.config.margin - apart).clamp(min=0).square()
        y = together.to(apart.dtype)
        return (y * near).sum() / y.sum() + ((1 - y) * far).sum() / (1 - y).sum().clamp(min=1)


def _vectors(of: Embedding) -> Tensor:
    vectors = getattr(of, "vectors", None)
    if vectors is None or vectors.dim() != 2:
        raise Misuse("distances need one vector an item; give one")
    return vectors
