"""Weights of the decoder in 8 bits, computed at full precision (LLM.int8()'s weight-only sibling).

W = s * Q, Q whole numbers of -128 to 127, s = max |W| / 127 of each output channel. Vision, the
projector, words and the head stay as they are.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.compression.companion import Precision, WeightCodec, register_companion
from chiasm.compression.uses import Axis, Uses


@register_companion("int8-weights")
@dataclass(frozen=True, kw_only=True)
class Int8Weights:
    """Of every matrix of the decoder's layers."""

    uses: ClassVar[Uses] = Uses(changes=frozenset({Axis.WEIGHTS}))

    def precision(self) -> Precision:
        return Precision(weights=WeightCodec())
