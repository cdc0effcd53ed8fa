"""What a count finds: parameters, multiply-adds by part under two conventions, and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chiasm.spec import Size

PARTS = ("encoder", "connector", "decoder", "head", "compression")
FLOPS = 2
"""FLOPs of one multiply-add."""


@dataclass(frozen=True)
class Line:
    """One operation of a prefill, in multiply-adds of one sample."""

    part: str
    name: str
    dense: int
    """Over all (query row, key row) pairs, whatever the rule permits."""
    visible: int
    """Over the pairs that the rule permits, and of the head over the rows whose scores are read."""


@dataclass(frozen=True)
class Parameters:
    """How many parameters there are, learn, and work on one token."""

    by_part: Mapping[str, int]
    """Part to its parameters (`chiasm.model.PARTS`)."""
    stages: Mapping[str, int]
    """Training stage to the parameters that learn in it, in order."""
    active: int
    """Those that one text token passes through."""
    active_visual: int
    """Those that one visual token passes through."""

    @property
    def total(self) -> int:
        return sum(self.by_part.values())

    @property
    def trained(self) -> int:
        """Those that learn in the last stage."""
        return list(self.stages.values())[-1]


@dataclass(frozen=True, kw_only=True)
class Bill:
    """The cost of one sample: a prompt of text about one image, then one answer token.

    `prefill` holds every operation, the head for all rows. FLOPs are twice the multiply-adds.
    """

    system: str
    scale: str
    visual_tokens: int
    """Tokens that the encoder gives the connector."""
    text_tokens: int
    rows: int
    """Rows of the sequence: text and placeholders."""
    image: Size
    dtype: str
    parameters: Parameters
    prefill: tuple[Line, ...]
    decode: tuple[Line, ...]
    kv_bytes: int
    """Keys and values of the prompt, the layers' memories included."""
    weight_bytes: int
    peak_bytes_predicted: int
    """Weights, keys and values, and the largest activations of a prefill (see `activations`)."""
    picture_step_flops: int
    """One step of a drawn picture beside the cached prompt, a mean over steps; 0: nothing draws."""
    compress: str | None = None
    """The methods that take visual rows out, as they were stated."""
    rows_by_layer: tuple[int, ...] = ()
    """Rows that each layer runs, where methods take some out."""

    @property
    def prefill_flops(self) -> int:
        """The convention of the LLaVA-family tables: dense pairs, connector and decoder only, and
        what compression multiplies itself.
        """
        return sum(map(self.part_flops, ("connector", "decoder", "compression")))

    @property
    def prefill_flops_executed(self) -> int:
        """What the row plan runs: visible pairs, the encoder, and the head on the last row."""
        return FLOPS * sum(line.visible for line in self.prefill)

    @property
    def prefill_flops_operator(self) -> int:
        """What an operator counter sees in `Model.forward`: dense pairs, the head on all rows."""
        return FLOPS * sum(line.dense for line in self.prefill)

    @property
    def decode_flops(self) -> int:
        """One further row against cached keys and values: decoder and head."""
        return FLOPS * sum(line.visible for line in self.decode)

    @property
    def head_row_flops(self) -> int:
        """The head on one row."""
        return FLOPS * sum(line.dense for line in self.decode if line.part == "head")

    def part_flops(self, part: str) -> int:
        """One part's prefill over dense pairs; the head on every row."""
        return FLOPS * sum(line.dense for line in self.prefill if line.part == part)

    def as_object(self) -> dict[str, Any]:
        """What `chiasm cost --json` prints; numbers are FLOPs, bytes and counts."""
        return {
            "system": self.system,
            "scale": self.scale,
            "visual_tokens": self.visual_tokens,
            "text_tokens": self.text_tokens,
            "rows": self.rows,
            "image": list(self.image),
            "dtype": self.dtype,
            "parameters": self.parameters.total,
            "parameters_trained": self.parameters.trained,
            "parameters_active": self.parameters.active,
            "parameters_active_visual": self.parameters.active_visual,
            "parameters_by_part": dict(self.parameters.by_part),
            "parameters_by_stage": dict(self.parameters.stages),
            "prefill_flops": self.prefill_flops,
            "prefill_flops_executed": self.prefill_flops_executed,
            "prefill_flops_operator": self.prefill_flops_operator,
            "encoder_flops": self.part_flops("encoder"),
            "connector_flops": self.part_flops("connector"),
            "decoder_flops": self.part_flops("decoder"),
            "head_flops": self.head_row_flops,
            "compression_flops": self.part_flops("compression"),
            "decode_flops": self.decode_flops,
            "picture_step_flops": self.picture_step_flops,
            "kv_bytes": self.kv_bytes,
            "weight_bytes": self.weight_bytes,
            "peak_bytes_predicted": self.peak_bytes_predicted,
            "compress": self.compress,
            "rows_by_layer": list(self.rows_by_layer) or None,
        }
