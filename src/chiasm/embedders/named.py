"""Embedders by name or by folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from transformers.utils import logging

from chiasm import weights
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Embedder
from chiasm.retrieval.sentence_models import SentenceModel

DEFAULT = "house"


def _house() -> Embedder:
    """Words and pictures, 384 wide."""
    # Its encoders take seconds to import, which those who search by words need not wait for.
    from chiasm.embedders.house import House

    return House.open()


def _minilm() -> Embedder:
    """Words only, 384 wide."""
    return SentenceModel.open(weights.path("minilm-l6"))


NAMES: Mapping[str, Callable[[], Embedder]] = {"house": _house, "minilm": _minilm}


def named(name: str) -> Embedder:
    """A packaged embedder, or one that sentence-transformers saved in a folder.

    Raises:
        Misuse: neither.
        ChiasmError: its weights are not in the cache, or cannot be read.
    """
    # A model of a second is no long work.
    logging.disable_progress_bar()
    if name in NAMES:
        return NAMES[name]()
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise Misuse(
            f"no embedder is called {name!r}, and no folder; choose {', '.join(NAMES)}, "
            f"or give the folder of a sentence-transformers model"
        )
    return SentenceModel.open(folder)
