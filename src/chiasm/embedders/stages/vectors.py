"""Vectors that are computed without weights, as what a tower sees."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.states import States
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class Weightless:
    """What first stages share that compute one vector an item in their reader."""

    @property
    def vocabulary(self) -> int | None:
        return None

    def build(self, words: int | None = None) -> nn.Module:
        return AsRead()

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None


class AsRead(nn.Module):
    """`[item, width]` to states of one token an item."""

    def forward(self, vectors: Float[Tensor, "item width"]) -> States:
        return States.all_of(vectors.unsqueeze(1), int(Modality.TEXT))
