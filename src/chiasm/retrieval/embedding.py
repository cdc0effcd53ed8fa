"""What an embedder gives: one vector an item, many vectors an item, or a distribution an item."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class Single:
    """One vector an item; the similarity is the cosine."""

    vectors: Float[Tensor, "item width"]

    def __len__(self) -> int:
        return self.vectors.shape[0]

    def unit(self) -> Float[Tensor, "item width"]:
        """v / |v|; a vector of zeros stays one."""
        return F.normalize(self.vectors, dim=-1)

    def truncated(self, width: int) -> "Single":
        """The first entries of each vector, as nested training makes them useful.

        Raises:
            Misuse: more than there are, or none.
        """
        if not 0 < width <= self.vectors.shape[1]:
            raise Misuse(f"width {width} of vectors {self.vectors.shape[1]} wide; give 1 to that")
        return Single(vectors=self.vectors[:, :width])


@dataclass(frozen=True, kw_only=True)
class Multi:
    """Many vectors an item, padded to the longest; the similarity is MaxSim."""

    vectors: Float[Tensor, "item token width"]
    valid: Bool[Tensor, "item token"]
    modality: Int[Tensor, "item token"]
    """Of each vector, as the stream's table numbers them; what it says of padding is not read."""

    def __len__(self) -> int:
        return self.vectors.shape[0]

    def __post_init__(self) -> None:
        if not bool(self.valid.any(-1).all()):
            bare = int((~self.valid.any(-1)).nonzero()[0])
            raise Misuse(f"item {bare} has no vector; every item needs at least 1")

    @classmethod
    def of(cls, items: Sequence[Float[Tensor, "token width"]], modality: int = 0) -> "Multi":
        """Items of unequal lengths, all of one modality, padded with zeros."""
        vectors = torch.nn.utils.rnn.pad_sequence(list(items), batch_first=True)
        lengths = torch.tensor([len(one) for one in items], device=vectors.device)
        valid = torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None]
        return cls(
            vectors=vectors,
            valid=valid,
            modality=torch.full_like(valid, modality, dtype=torch.long),
        )

    def unit(self) -> Float[Tensor, "item token width"]:
        """v / |v| of every vector, 0 where there is none."""
        return F.normalize(self.vectors, dim=-1) * self.valid.unsqueeze(-1)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A Gaussian with a diagonal covariance an item (PCME, arXiv 2101.05068)."""

    mean: Float[Tensor, "item width"]
    log_sigma: Float[Tensor, "item width"]

    def __len__(self) -> int:
        return self.mean.shape[0]

    def draw(self, count: int, seed: int | None = None) -> Float[Tensor, "item sample width"]:
        """mean + exp(log_sigma) eps, eps ~ N(0, I); differentiable in both."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        shape = (len(self), count, self.mean.shape[1])
        noise = torch.randn(shape, generator=generator, dtype=self.mean.dtype)
        noise = noise.to(self.mean.device)
        return self.mean.unsqueeze(1) + self.log_sigma.exp().unsqueeze(1) * noise


Embedding = Single | Multi | Distribution
E = TypeVar("E", Single, Multi, Distribution)


def take(embedding: E, items: Tensor) -> E:
    """Some of the items, by number or mask, in that order."""
    return replace(
        embedding,
        **{field.name: getattr(embedding, field.name)[items] for field in fields(embedding)},
    )


def joined(parts: Sequence[E]) -> E:
    """The items of several embeddings of one kind, one after the other.

    Raises:
        Misuse: none, or several kinds or widths.
    """
    kinds = {type(one).__name__ for one in parts}
    if len(kinds) != 1:
        raise Misuse(f"{', '.join(sorted(kinds)) or 'nothing'} cannot be joined; give one kind")
    first = parts[0]
    widths = {_numbers(one).shape[-1] for one in parts}
    if len(widths) > 1:
        raise Misuse(f"vectors {' and '.join(map(str, sorted(widths)))} wide cannot be joined")
    longest = max(_numbers(one).shape[1] for one in parts)

    def joined_field(name: str) -> Tensor:
        columns = [getattr(one, name) for one in parts]
        if isinstance(first, Multi):
            columns = [_padded(column, longest) for column in columns]
        return torch.cat(columns)

    return replace(first, **{field.name: joined_field(field.name) for field in fields(first)})


def _numbers(of: Embedding) -> Tensor:
    return of.mean if isinstance(of, Distribution) else of.vectors


def _padded(column: Tensor, longest: int) -> Tensor:
    new = column.new_zeros(column.shape[0], longest - column.shape[1], *column.shape[2:])
    return torch.cat([column, new], 1)
