"""What flows between an embedder's stages: states of an item's tokens, one or many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.retrieval.embedding import Embedding


@dataclass(frozen=True, kw_only=True)
class States:
    """Hidden states of the tokens of some items, and what each token is."""

    tokens: Float[Tensor, "item token width"]
    valid: Bool[Tensor, "item token"]
    modality: Int[Tensor, "item token"]
    """As the stream's table numbers them."""
    told: Bool[Tensor, "item token"]
    """True for the tokens of the instruction."""
    layers: tuple[Float[Tensor, "item token width"], ...] = ()
    """The states after each layer that was asked for, the first first."""

    @property
    def present(self) -> Bool[Tensor, " item"]:
        """Which items have a token at all."""
        return self.valid.any(-1)

    def carrying(self, tokens: Float[Tensor, "item token other"]) -> "States":
        """The same tokens with other states."""
        return replace(self, tokens=tokens, layers=())

    def alone(self, vectors: Float[Tensor, "item other"]) -> "States":
        """One token an item, of its first token's modality; items without any stay without."""
        first = self.valid.long().argmax(-1, keepdim=True)
        return States(
            tokens=vectors.unsqueeze(1),
            valid=self.present.unsqueeze(1),
            modality=self.modality.gather(1, first),
            told=torch.zeros_like(first, dtype=torch.bool),
        )

    @classmethod
    def all_of(cls, tokens: Float[Tensor, "item token width"], modality: int) -> "States":
        """Tokens of one modality, all real, none of an instruction."""
        shape, device = tokens.shape[:2], tokens.device
        return cls(
            tokens=tokens,
            valid=torch.ones(shape, dtype=torch.bool, device=device),
            modality=torch.full(shape, modality, device=device),
            told=torch.zeros(shape, dtype=torch.bool, device=device),
        )


def placed(states: States, items: Int[Tensor, " own"], count: int) -> States:
    """States of some items at their places among `count`; the others have no token."""
    if len(items) == count:
        return states

    def among(column: Tensor) -> Tensor:
        return column.new_zeros(count, *column.shape[1:]).index_copy(0, items, column)

    return States(
        tokens=among(states.tokens),
        valid=among(states.valid),
        modality=among(states.modality),
        told=among(states.told),
        layers=tuple(among(layer) for layer in states.layers),
    )


def side_by_side(parts: Sequence[States]) -> States:
    """The tokens of the same items, one part's after the other's."""
    return States(
        tokens=torch.cat([part.tokens for part in parts], 1),
        valid=torch.cat([part.valid for part in parts], 1),
        modality=torch.cat([part.modality for part in parts], 1),
        told=torch.cat([part.told for part in parts], 1),
    )


@dataclass(frozen=True, kw_only=True)
class Read:
    """All that one pass gave: what the towers saw, what they made of it, and what came out."""

    seen: dict[str, States]
    """By tower, as encoded."""
    reduced: dict[str, States]
    """By tower, after its reduction."""
    made: dict[str, States]
    """By tower, reduced and projected."""
    outputs: tuple[Embedding, ...]
    fused: States | None = None
    """What the fusion made of all towers."""

    @property
    def embedding(self) -> Embedding:
        """What searches read."""
        return self.outputs[0]
