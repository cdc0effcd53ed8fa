"""Words of other languages in the house embedder's space."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from chiasm.embedders.grams import Grams
from chiasm.embedders.house import WIDTH
from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.embedding import Single

LANGUAGES = ("fr", "es", "ru")
"""In which it was taught."""
WEIGHTS = Path(__file__).with_name("foreign.safetensors")
_ROWS, _NARROW = 2**15, 64


@dataclass(frozen=True)
class Foreign:
    """French, Spanish and Russian words where MiniLM has their English ones.

    Taught on the captions of stamps and the names of emoji (`benchmarks/spoken_embedder.py`): it
    knows names of things and pieces of them, in whichever of the languages, and no grammar.
    """

    grams: Grams

    @classmethod
    def open(cls) -> "Foreign":
        """As it comes with chiasm.

        Raises:
            ChiasmError: its file is missing or holds something else.
        """
        grams = untaught()
        try:
            grams.load_state_dict({name: one.float() for name, one in load_file(WEIGHTS).items()})
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ChiasmError(f"{WEIGHTS}: {reason[:200]}; install chiasm again") from None
        return cls(grams.eval())

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Single:
        """One vector a text, 384 wide.

        Raises:
            Misuse: no text.
        """
        if not texts:
            raise Misuse("no text to embed; give at least 1")
        return Single(vectors=F.normalize(self.grams(texts), dim=-1))


def untaught() -> Grams:
    """Its sizes, with weights drawn from torch's generator."""
    return Grams(_ROWS, _NARROW, WIDTH)
