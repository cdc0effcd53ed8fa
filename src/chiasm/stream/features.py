"""What an encoder gives, what a connector makes of it, and what a layer may read of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.stream.table import TokenTable


@dataclass(frozen=True)
class Features:
    """Encoder output, in the encoder's own space; cannot enter a sequence without a connector."""

    tokens: Float[Tensor, "image token width"]
    grid: tuple[int, int]
    """Rows and columns of the (padded) token grid; their product is `token`."""
    valid: Bool[Tensor, "image token"] | None = None
    """False where a token covers padding only; None when every token is real."""
    taps: tuple[Float[Tensor, "image token width"], ...] = ()
    """Hidden states of the layers that were asked for, in the order asked."""
    planned: Bool[Tensor, "image token"] | None = None
    """Which tokens geometry counts, where an encoder left some of them out: those are not `valid`.
    """


@dataclass(frozen=True)
class Tokens:
    """Connector output in the host's space; its count follows from the geometry alone."""

    embeddings: Float[Tensor, "image token width"]
    valid: Bool[Tensor, "image token"] | None = None
    grid: tuple[int, int] | None = None
    """Rows and columns that the tokens stand in; None where they are no grid."""


@dataclass(frozen=True)
class Memory:
    """What a layer may read besides the sequence: one sample's media tokens and their identity."""

    tokens: Float[Tensor, "batch memory width"]
    table: TokenTable

    def with_tokens(self, tokens: Float[Tensor, "batch memory width"]) -> "Memory":
        """The same identities, other values (a layer's own projection of them)."""
        return replace(self, tokens=tokens)


@dataclass(frozen=True)
class Asked:
    """What is asked about each image: its sample's text, answers left out."""

    ids: Int[Tensor, "image token"]
    embeddings: Float[Tensor, "image token width"]
    """The host's word embeddings of these ids."""
    valid: Bool[Tensor, "image token"]
    browse: Callable[[], Float[Tensor, "image width"]] | None
    """Runs the whole model once without a condition, and without gradient: the final hidden state
    of the last prompt row of each image's turn. None within that pass.
    """
    routing: Float[Tensor, "image expert"] | None = None
    """Weights of experts that stand in for those of the connector's own router."""


class Connects(Protocol):
    """What a connector builds: features of the images asked about, to tokens."""

    def connect(self, features: Features, asked: Asked | None) -> Tokens: ...
