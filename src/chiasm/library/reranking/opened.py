"""A reranker from its folder: which way it takes is read from its configuration."""

import json
from pathlib import Path

from chiasm.errors import Misuse
from chiasm.library.reranking.cross_encoder import CrossEncoder
from chiasm.library.reranking.judge import Judge
from chiasm.library.reranking.listwise import Listwise
from chiasm.library.reranking.pointwise import Pointwise
from chiasm.library.reranking.reranker import Reranker

_CLASSIFIES = "ForSequenceClassification"
"""How transformers names the architecture that cross-encoders are saved as."""


def reranker_of(name: str, *, listwise: bool = False) -> Reranker:
    """A cross-encoder if the folder holds one, else a model that answers questions.

    Raises:
        Misuse: listwise is asked of a cross-encoder, which sees one hit at a time.
        ChiasmError: it can be read as neither.
    """
    config = Path(name) / "config.json"
    classifies = False
    if config.is_file():
        try:
            architectures = json.loads(config.read_text(encoding="utf-8"))["architectures"]
            classifies = any(one.endswith(_CLASSIFIES) for one in architectures)
        except (ValueError, KeyError, TypeError):
            classifies = False
    if not classifies:
        judge = Judge.open(name)
        return Listwise(judge=judge) if listwise else Pointwise(judge=judge)
    if listwise:
        raise Misuse(f"{name}: a cross-encoder sees one hit at a time; leave --listwise out")
    return CrossEncoder.open(Path(name))
