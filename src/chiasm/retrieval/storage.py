"""How stored vectors are written: as they are, as whole numbers, or as signs."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Storage(Protocol):
    """A frozen value that writes vectors into tensors of one row a vector, and reads them back."""

    def written(self, vectors: Float[Tensor, "row width"]) -> tuple[Tensor, ...]: ...

    def read(self, columns: tuple[Tensor, ...], width: int) -> Float[Tensor, "row width"]:
        """In what products are made in: float32 on a CPU."""
        ...


@dataclass(frozen=True)
class Plain:
    """The numbers themselves; bfloat16 halves the bytes."""

    dtype: torch.dtype = torch.float32

    def written(self, vectors: Tensor) -> tuple[Tensor, ...]:
        return (vectors.to(self.dtype),)

    def read(self, columns: tuple[Tensor, ...], width: int) -> Tensor:
        # Processors without bfloat16 products are tens of times slower at them.
        return columns[0] if columns[0].is_cuda else columns[0].float()


@dataclass(frozen=True)
class Int8:
    """round(127 v / max|v|) and max|v| / 127 of each vector, in float16."""

    def written(self, vectors: Tensor) -> tuple[Tensor, ...]:
        scale = (vectors.float().abs().amax(-1, keepdim=True) / 127).clamp(min=1e-7).half()
        codes = (vectors.float() / scale.float()).round().clamp(-127, 127)
        return codes.to(torch.int8), scale

    def read(self, columns: tuple[Tensor, ...], width: int) -> Tensor:
        codes, scale = columns
        return codes.float() * scale.float()


@dataclass(frozen=True)
class Signs:
    """One bit an entry: the vector's signs, each 1 / sqrt(width)."""

    def written(self, vectors: Tensor) -> tuple[Tensor, ...]:
        # Deferred, as below: its room knows layers and models, which other users of search do not.
        from chiasm.compression.bits import pack

        return (pack((vectors >= 0).to(torch.uint8).T, 1).T.contiguous(),)

    def read(self, columns: tuple[Tensor, ...], width: int) -> Tensor:
        from chiasm.compression.bits import unpack

        signs = unpack(columns[0].T, 1)[:width].T
        return (2.0 * signs.float() - 1.0) * width**-0.5
