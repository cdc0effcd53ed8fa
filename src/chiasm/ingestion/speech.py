"""What is said in a recording, and when: faster-whisper, loaded when first used and kept."""

import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chiasm.errors import Misuse
from chiasm.retrieval.unit import Span

RATE = 16_000
"""Samples a second that the model hears."""
_SILENT = 0.6
"""Chance of no speech above which a segment is left out, if it is also unsure of its words."""
_UNSURE = -1.0


def transcribed(
    windows: Iterable[tuple[float, np.ndarray]], model: Path
) -> tuple[tuple[Span, ...], str]:
    """Spoken sentences with their seconds, and the language; nothing where nobody speaks.

    `windows` are mono samples at `RATE` in [-1, 1], each with the second at which it begins.

    Raises:
        Misuse: faster-whisper is not installed.
    """
    spans, language = [], ""
    for begins, samples in windows:
        found, about = _engine(model).transcribe(
            samples, language=language or None, vad_filter=True, condition_on_previous_text=False
        )
        heard = [one for one in found if not _noise(one) and one.text.strip()]
        if heard and not language:
            language = about.language
        spans += [
            Span(text=one.text.strip(), start=begins + one.start, end=begins + one.end)
            for one in heard
        ]
    return tuple(spans), language


def _noise(segment: Any) -> bool:
    return segment.no_speech_prob > _SILENT and segment.avg_logprob < _UNSURE


@cache
def _engine(model: Path) -> Any:
    if importlib.util.find_spec("faster_whisper") is None:
        raise Misuse(
            "speech needs faster-whisper, which is not installed: pip install 'chiasm[speech]', "
            "or leave it out with --no-speech"
        )
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
