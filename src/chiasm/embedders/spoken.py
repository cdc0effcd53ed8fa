"""Speech in the house embedder's space: what is said finds pictures and words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from chiasm import weights
from chiasm.embedders.house import read_projector
from chiasm.embedders.projector import Projector
from chiasm.embedders.whisper import SpeechEncoder
from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Single

SPEECH = "whisper-base"
LANGUAGES = ("fr", "es", "ru")
"""In which it was taught."""
PROJECTOR = Path(__file__).with_name("spoken.safetensors")


@dataclass(frozen=True)
class Spoken:
    """The projected mean of Whisper's encoder states, no word written down in between.

    The encoder is as it was; the projector was taught on captions read aloud in French, Spanish
    and Russian, a reader each (`benchmarks/spoken_embedder.py`): it knows what such captions say,
    of animals, plants and things, not speech at large.
    """

    encoder: SpeechEncoder
    projector: Projector

    @classmethod
    def open(cls) -> "Spoken":
        """The packaged encoder, and the projector that comes with chiasm.

        Raises:
            ChiasmError: the encoder is not in the cache.
        """
        return cls(SpeechEncoder.open(weights.path(SPEECH)), read_projector(PROJECTOR))

    @torch.inference_mode()
    def embed(self, clips: Sequence[np.ndarray]) -> Single:
        """One vector a clip, 384 wide; each clip is mono samples at 16 kHz in [-1, 1].

        Raises:
            Misuse: no clip, or one that is no sound.
        """
        if not clips:
            raise Misuse("no clip to embed; give at least 1")
        return Single(vectors=F.normalize(self.projector(self.encoder.pooled(clips)), dim=-1))
