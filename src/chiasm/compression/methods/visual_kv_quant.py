"""1-bit visual KV (From 16-Bit to 1-Bit; CalibQuant, arXiv 2502.14882).

Behind a prefill at full precision, keys (rotated) and values of visual rows are quantised for each
KV head and channel over the rows; text stays as it is. Endpoints are min and max, at 1 bit times
0.5 for keys and 0.3 for values; with `quantiles`, the first version's, quantiles instead. Up to 2
bits the visual logits of a head are mapped from [min, max] to [min, max - 3] before the softmax
with text.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.compression.companion import Precision, register_companion
from chiasm.compression.endpoints import Endpoints, Quantiles, Scaled
from chiasm.compression.quantised import Codec
from chiasm.compression.uses import Axis, Means, Uses
from chiasm.compression.visual_kv import VisualKV


@register_companion("visual-kv-quant")
@dataclass(frozen=True, kw_only=True)
class VisualKVQuant:
    """None: the published value at this number of bits."""

    bits: int = 1
    key_scale: float | None = None
    value_scale: float | None = None
    quantiles: tuple[float, float] | None = None
    """Instead of scaled endpoints; the release of the first version does not say which: 0.1, 0.9
    are ours."""
    group: int | None = None
    """Rows that share endpoints; None: all of a call."""
    calibration: float | None = None

    uses: ClassVar[Uses] = Uses(
        changes=frozenset({Axis.VISUAL_KV}),
        needs=frozenset({Means.CACHED_STEPS, Means.EVERY_LAYER}),
    )

    def __post_init__(self) -> None:
        self.precision()

    def precision(self) -> Precision:
        """Codecs of keys and of values."""
        lowered = 3.0 if self.bits <= 2 else 0.0
        return Precision(
            visual_kv=VisualKV(
                keys=self._codec(self.key_scale, 0.5),
                values=self._codec(self.value_scale, 0.3),
                calibration=lowered if self.calibration is None else self.calibration,
            )
        )

    def _codec(self, scale: float | None, at_one_bit: float) -> Codec:
        published = at_one_bit if self.bits == 1 else 1.0
        endpoints: Endpoints = Scaled(published if scale is None else scale)
        if self.quantiles is not None:
            endpoints = Quantiles(*self.quantiles)
        return Codec(bits=self.bits, endpoints=endpoints, group=self.group)
