"""Hard negatives: candidates that an embedder ranks high and that are wrong.

Every rule reads the scores of all candidates for each query and which of them are right, and gives
numbers of candidates; none of them is ever right.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Candidates in a model's order, for every query."""

    scores: Float[Tensor, "query candidate"]
    right: Bool[Tensor, "query candidate"]
    candidate_kind: Int[Tensor, " candidate"] | None = None
    """Modality of each candidate."""
    wanted_kind: Int[Tensor, " query"] | None = None
    """Modality that each query asks for."""

    def order(self) -> Int[Tensor, "query candidate"]:
        """Numbers of candidates, best first; equal scores in the order of their numbers."""
        return self.scores.argsort(dim=-1, descending=True, stable=True)

    def least_right(self) -> Float[Tensor, "query 1"]:
        """The lowest score of a right candidate; ranks and margins are told from it."""
        bare = ~self.right.any(-1)
        if bool(bare.any()):
            number = int(bare.nonzero()[0])
            raise Misuse(f"query {number} has no right candidate; negatives are told from one")
        return self.scores.masked_fill(~self.right, torch.finfo(self.scores.dtype).max).amin(
            -1, keepdim=True
        )


class Rule(Protocol):
    """A frozen value."""

    def mine(self, ranked: Ranked, seed: int) -> list[list[int]]:
        """Negatives of each query, the hardest first; fewer than asked where there are no more."""
        ...


@dataclass(frozen=True, kw_only=True)
class BelowMargin:
    """The `count` best wrong ones whose score is below `margin` times the least right one's: what
    scores higher may be right and unlabelled (Moreira et al., arXiv 2407.15831).
    """

    count: int
    margin: float = 0.95

    def mine(self, ranked: Ranked, seed: int = 0) -> list[list[int]]:
        most = ranked.least_right()
        # Of a negative score a share is nearer to 0, and so higher.
        bound = torch.where(most > 0, most * self.margin, most / self.margin)
        return _first(ranked, ~ranked.right & (ranked.scores < bound), self.count)


@dataclass(frozen=True, kw_only=True)
class OnePerBlock:
    """One drawn from each consecutive block of `block` ranks of wrong ones (ABC)."""

    count: int
    block: int = 5

    def mine(self, ranked: Ranked, seed: int = 0) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        found: list[list[int]] = []
        for own in _first(ranked, ~ranked.right, self.count * self.block):
            blocks = [own[at : at + self.block] for at in range(0, len(own), self.block)]
            drawn = torch.rand(len(blocks), generator=generator).tolist()
            found.append(
                [one[int(share * len(one))] for one, share in zip(blocks, drawn, strict=True)]
            )
        return found


@dataclass(frozen=True, kw_only=True)
class ByModality:
    """MM-Embed's two kinds (arXiv 2411.02571): `wrong_kind` of another modality than was asked for,
    ranked above the right one; `right_kind` of the asked one, ranked below place `below`.
    """

    wrong_kind: int
    right_kind: int
    below: int = 45

    def mine(self, ranked: Ranked, seed: int = 0) -> list[list[int]]:
        if ranked.candidate_kind is None or ranked.wanted_kind is None:
            raise Misuse("negatives by modality need candidate_kind and wanted_kind; give both")
        alike = ranked.wanted_kind[:, None] == ranked.candidate_kind
        place = ranked.order().argsort(-1)
        above = ranked.scores > ranked.least_right()
        wrong = _first(ranked, ~alike & above & ~ranked.right, self.wrong_kind)
        right = _first(ranked, alike & (place >= self.below) & ~ranked.right, self.right_kind)
        return [one + other for one, other in zip(wrong, right, strict=True)]


def _first(ranked: Ranked, allowed: Tensor, count: int) -> list[list[int]]:
    """The best allowed ones of each query."""
    order = ranked.order()
    keeps = allowed.gather(-1, order)
    return [own[keep][:count].tolist() for own, keep in zip(order, keeps, strict=True)]
