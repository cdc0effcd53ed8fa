"""How near two embeddings are: what they are says how it is measured."""

from dataclasses import replace
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single
from chiasm.retrieval.maxsim import maxsim, products, summed


def similarity(queries: Embedding, documents: Embedding) -> Float[Tensor, "query document"]:
    """Cosines of `Single`, MaxSim of `Multi`'s unit vectors; of `Distribution` the expected squared
    distance of two draws, negated: -|mu - mu'|^2 - sum(sigma^2 + sigma'^2).

    Raises:
        Misuse: the two are of different kinds.
    """
    if type(queries) is not type(documents):
        names = f"{type(queries).__name__} and {type(documents).__name__}"
        raise Misuse(f"{names} cannot be compared; embed queries and documents alike")
    return _similarity(queries, documents)


@singledispatch
def _similarity(queries: Embedding, documents: Embedding) -> Tensor:
    raise Misuse(f"{type(queries).__name__} is no embedding; give Single, Multi or Distribution")


@_similarity.register
def _(queries: Single, documents: Single) -> Tensor:
    return queries.unit() @ documents.unit().T


@_similarity.register
def _(queries: Multi, documents: Multi) -> Tensor:
    return maxsim(_normalised(queries), _normalised(documents))


def _normalised(of: Multi) -> Multi:
    return replace(of, vectors=of.unit())


@_similarity.register
def _(queries: Distribution, documents: Distribution) -> Tensor:
    apart = torch.cdist(queries.mean, documents.mean).square()
    spread = [one.log_sigma.mul(2).exp().sum(-1) for one in (queries, documents)]
    return -(apart + spread[0].unsqueeze(1) + spread[1].unsqueeze(0))


def modality_maxsim(queries: Multi, documents: Multi) -> Float[Tensor, "query document"]:
    """max over modalities m of sum_i max_{j in m} <q_i, d_j>, never above MaxSim (CLaMR)."""
    queries, documents = _normalised(queries), _normalised(documents)
    found = products(queries, documents)
    least = torch.finfo(found.dtype).min
    scores: list[Tensor] = []
    for kind in documents.modality[documents.valid].unique():
        own = documents.valid & (documents.modality == kind)
        score = summed(queries, found, own)
        scores.append(score.masked_fill(~own.any(-1)[None], least))
    return torch.stack(scores).amax(0)
