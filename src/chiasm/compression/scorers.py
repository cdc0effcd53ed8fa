"""The scores that need no look at the model, and the ones that are a look."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.compression.evidence import Asks, DecoderAttention, Evidence, Look


@dataclass(frozen=True)
class Alike:
    """Every token is worth the same: what stays is the fate's choice."""

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        return evidence.hidden.new_zeros(evidence.tokens)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Uniform random scores, the same for equal tokens counts and seeds: the control `random`."""

    seed: int

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        drawn = torch.rand(evidence.tokens, generator=torch.Generator().manual_seed(self.seed))
        # In half precision many would be equal, and of equal ones the earlier stay.
        return drawn.to(evidence.hidden.device)


@dataclass(frozen=True, kw_only=True)
class Attended:
    """Attention that a decoder layer's queries pay to a token, mean over heads and queries."""

    asks: Asks
    back: int = 0

    @property
    def look(self) -> DecoderAttention:
        return DecoderAttention(asks=self.asks, back=self.back)

    @property
    def needs(self) -> Sequence[Look]:
        return (self.look,)

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        return evidence.seen[self.look].mean((0, 1))[evidence.row]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A token-wise look at the encoder, as it is."""

    look: Look

    @property
    def needs(self) -> Sequence[Look]:
        return (self.look,)

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        return evidence.seen[self.look].reshape(evidence.tokens)
