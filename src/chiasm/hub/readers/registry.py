"""The formats by the config's `model_type`."""

from collections.abc import Mapping

from chiasm.hub.readers.align import align
from chiasm.hub.readers.perceiver import perceiver
from chiasm.hub.readers.pixtral import pixtral
from chiasm.hub.readers.plan import Plan, Reader
from chiasm.hub.readers.vilt import vilt

READERS: Mapping[str, Reader] = {
    "align": align,
    "perceiver": perceiver,
    "pixtral": pixtral,
    "vilt": vilt,
}

__all__ = ["READERS", "Plan", "Reader"]
