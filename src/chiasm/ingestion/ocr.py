"""Words on pictures, and where they stand: RapidOCR, loaded when first used and kept."""

import importlib.util
import logging
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from chiasm.errors import Misuse
from chiasm.retrieval.unit import Span

LEAST = 0.6
"""Certainty below which a line is left out."""
LEAST_SHORT = 0.9
"""The same for one or two characters: a wheel is read as an o, and a window as 田."""
_SMALLEST = 24
"""Pixels of a side below which there is nothing to read."""
_LARGEST = 2_000


def words_on(image: Image.Image) -> tuple[Span, ...]:
    """Lines of text on a picture, in reading order, with their boxes.

    Raises:
        Misuse: RapidOCR is not installed.
    """
    if min(image.size) < _SMALLEST:
        return ()
    shown = image.convert("RGB")
    shown.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    found = _engine()(np.asarray(shown)[:, :, ::-1].copy())
    if found.boxes is None:
        return ()
    width, height = shown.size
    return tuple(
        Span(text=text.strip(), box=_box(corners, width, height))
        for corners, text, certain in zip(found.boxes, found.txts, found.scores, strict=True)
        if text.strip() and certain >= (LEAST if len(text.strip()) > 2 else LEAST_SHORT)
    )


def _box(corners: np.ndarray, width: int, height: int) -> tuple[float, float, float, float]:
    """The upright rectangle around four corners in pixels, as fractions."""
    places = np.asarray(corners, dtype=float) / (width, height)
    left, top = places.min(0).clip(0, 1)
    right, bottom = places.max(0).clip(0, 1)
    return float(left), float(top), float(right), float(bottom)


@cache
def _engine() -> Any:
    if importlib.util.find_spec("rapidocr") is None:
        raise Misuse(
            "words on pictures need rapidocr, which is not installed: pip install 'chiasm[ocr]', "
            "or leave them out with --no-ocr"
        )
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            # Readers run beside each other, one a core.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return engine
