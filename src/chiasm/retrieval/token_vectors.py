"""A sentence model read before it pools: a vector a token, compared by late interaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Item, Role
from chiasm.retrieval.embedding import Multi
from chiasm.retrieval.sentence_models import SentenceModel
from chiasm.stream import Modality


@dataclass(frozen=True)
class TokenVectors:
    """Words as the unit vectors of their tokens, without those that mark the ends.

    The model was taught for its pooled vector; late interaction over its tokens needs no training
    and keeps what a mean over a page loses.
    """

    sentence: SentenceModel
    window: int = 200
    """Words that the model reads at a time; longer texts are read in turns, all of them."""

    @torch.inference_mode()
    def embed(
        self, items: Sequence[Item], *, role: Role, instruction: str = "", task: str = ""
    ) -> Multi:
        """`Multi`, a vector a token of the text.

        Raises:
            Misuse: no item, a picture, an instruction or a task: it takes words alone.
        """
        if instruction or task:
            raise Misuse("token vectors take neither an instruction nor a task; leave it out")
        if not items:
            raise Misuse("no item to embed; give at least 1")
        for one in items:
            if one.image is not None:
                raise Misuse(f"{one.modality} given to a model that takes text")
        parts = [self._windows(one.text) for one in items]
        flat = [text for windows in parts for text in windows]
        encode: Any = getattr(self.sentence.model, f"encode_{role}")
        found = iter(encode(flat, output_value="token_embeddings", show_progress_bar=False))
        read = [torch.cat([next(found)[1:-1].float() for _ in windows]) for windows in parts]
        return Multi.of([F.normalize(one, dim=-1) for one in read], int(Modality.TEXT))

    def _windows(self, text: str) -> list[str]:
        words = text.split()
        starts = range(0, len(words), self.window)
        return [" ".join(words[start : start + self.window]) for start in starts]
