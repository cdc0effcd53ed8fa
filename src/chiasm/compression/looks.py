"""Looks at the encoder's attention that several methods share."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from chiasm.compression.evidence import BlockLook
from chiasm.compression.method import HostShape
from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class ClassAttention:
    """Attention that the class token pays to a patch, mean over heads: mean_h A[h, 0, patch]."""

    block: int

    @property
    def rows_of_all(self) -> bool:
        return False

    def per_patch(
        self, attention: Float[Tensor, "head query row"], class_tokens: int
    ) -> Float[Tensor, " patch"]:
        if class_tokens < 1:
            raise Misuse(
                f"the encoder has {class_tokens} class tokens, so block {self.block} has no class "
                "attention; read ReceivedAttention"
            )
        return attention[:, 0, class_tokens:].mean(0)


@dataclass(frozen=True, kw_only=True)
class ReceivedAttention:
    """Attention that a patch receives, mean over heads and over all rows of its unit.

    The columns' means of the head-mean map: mean_h mean_q A[h, q, patch].
    """

    block: int

    @property
    def rows_of_all(self) -> bool:
        return True

    def per_patch(
        self, attention: Float[Tensor, "head query row"], class_tokens: int
    ) -> Float[Tensor, " patch"]:
        return attention.mean((0, 1))[class_tokens:]


def attention_look(shape: HostShape, block: int) -> BlockLook:
    """What the class token attends to, or, where the encoder has none, what all rows attend to."""
    if shape.class_token:
        return ClassAttention(block=block)
    return ReceivedAttention(block=block)
