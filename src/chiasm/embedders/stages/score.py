"""How a query and a document are compared: the score that is learned and searched with."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.objectives import log_match, pairwise_volume
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single
from chiasm.retrieval.maxsim import maxsim
from chiasm.retrieval.similarity import modality_maxsim

Scores = Float[Tensor, "query document"]


@dataclass(frozen=True)
class Compares:
    """What compares queries and documents: `build` gives a module called with both embeddings."""

    reads_all: ClassVar[bool] = False
    """Whether a document's score depends on the other documents too."""


@dataclass(frozen=True)
class Cosine(Compares):
    """<q, d> / |q| |d|."""

    def build(self) -> nn.Module:
        return _Score(_cosine)


@dataclass(frozen=True, kw_only=True)
class LateInteraction(Compares):
    """sum_i max_j <q_i, d_j> of unit vectors, divided by the query's length if it is a `mean`."""

    mean: bool = False

    def build(self) -> nn.Module:
        return _Score(_mean_late if self.mean else _late)


@dataclass(frozen=True)
class ModalityLate(Compares):
    """max_m sum_i max_{j in m} <q_i, d_j> of unit vectors over the query's length: the best single
    modality of a document (CLaMR, arXiv 2506.06144).
    """

    def build(self) -> nn.Module:
        return _Score(_modality_late)


@dataclass(frozen=True)
class Volume(Compares):
    """-sqrt(det Gram) of a query's one vector and a document's vectors, one a modality (GRAM,
    arXiv 2412.11959). Documents all have the same number of modalities.
    """

    def build(self) -> nn.Module:
        return _Score(_volume)


@dataclass(frozen=True)
class AnchorCosine(Compares):
    """The mean cosine of a query's one vector with a document's vectors, one a modality: what
    aligning every modality with the same anchor scores by (ImageBind, arXiv 2305.05665).
    """

    def build(self) -> nn.Module:
        return _Score(_anchor_cosine)


@dataclass(frozen=True, kw_only=True)
class MatchProbability(Compares):
    """log p, p = mean over K x K pairs of draws of sigma(-a |z - z'| + b) (PCME,
    arXiv 2101.05068); a and b are learned.
    """

    draws: int = 7
    slope: float = 5.0
    offset: float = 5.0

    def build(self) -> "Matches":
        return Matches(self)


class _Score(nn.Module):
    def __init__(self, score: Any) -> None:
        super().__init__()
        self._score = score

    def forward(self, queries: Embedding, documents: Embedding) -> Scores:
        return self._score(queries, documents)


class Matches(nn.Module):
    """Log-probabilities that two distributions match, and that they do not."""

    def __init__(self, config: MatchProbability) -> None:
        super().__init__()
        self.draws = config.draws
        self.slope = nn.Parameter(torch.tensor(config.slope))
        self.offset = nn.Parameter(torch.tensor(config.offset))

    def both(self, queries: Distribution, documents: Distribution) -> tuple[Tensor, Tensor]:
        """(log p, log(1 - p)) of every pair; outside of training the draws are always the same."""
        first, second = (None, None) if self.training else (0, 1)
        drawn = queries.draw(self.draws, first), documents.draw(self.draws, second)
        return log_match(drawn[0], drawn[1], self.slope, self.offset)

    def forward(self, queries: Distribution, documents: Distribution) -> Scores:
        return self.both(queries, documents)[0]


def _cosine(queries: Single, documents: Single) -> Scores:
    return queries.unit() @ documents.unit().T


def _late(queries: Multi, documents: Multi) -> Scores:
    return maxsim(replace(queries, vectors=queries.unit()), _unit(documents))


def _unit(of: Multi) -> Multi:
    return replace(of, vectors=of.unit())


def _mean_late(queries: Multi, documents: Multi) -> Scores:
    return _late(queries, documents) / _lengths(queries)


def _modality_late(queries: Multi, documents: Multi) -> Scores:
    return modality_maxsim(queries, documents) / _lengths(queries)


def _lengths(of: Multi) -> Tensor:
    return of.valid.sum(-1, keepdim=True).clamp(min=1)


def _volume(queries: Multi, documents: Multi) -> Scores:
    """Of single queries and documents of k modalities, or the other way round."""
    if int(queries.valid.sum(-1).max()) > 1:
        return _volume(documents, queries).T
    counts = documents.valid.sum(-1)
    if bool((counts != counts[0]).any()):
        said = ", ".join(map(str, sorted(set(counts.tolist()))))
        raise Misuse(f"volumes of {said} modalities cannot be compared; give every item the same")
    anchors = _packed(queries, 1)
    others = _packed(documents, int(counts[0]))
    return -pairwise_volume(anchors[:, 0], others)


def _anchor_cosine(queries: Multi, documents: Multi) -> Scores:
    """Of single queries and documents of several modalities, or the other way round."""
    if int(queries.valid.sum(-1).max()) > 1:
        return _anchor_cosine(documents, queries).T
    anchors = nn.functional.normalize(_packed(queries, 1)[:, 0], dim=-1)
    found = torch.einsum("qw,dmw->qdm", anchors, documents.unit())
    return found.sum(-1) / documents.valid.sum(-1).clamp(min=1)


def _packed(of: Multi, count: int) -> Tensor:
    """The first `count` real vectors of each item."""
    order = of.valid.int().sort(dim=1, descending=True, stable=True).indices[:, :count]
    return of.vectors.gather(1, order.unsqueeze(-1).expand(-1, -1, of.vectors.shape[-1]))
