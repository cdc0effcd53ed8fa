"""Words of other languages by the pieces that they are spelt with."""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.embedders.projector import Projector

_LENGTHS = (3, 4, 5)
_WORD = re.compile(r"\w+")


class Grams(nn.Module):
    """A projector of the mean vector of a text's words and of their runs of 3 to 5 letters.

    As fastText reads words (arXiv 1607.04606): `<chat>` gives `<ch`, `cha`, `hat`, ..., and the
    whole. Runs share a table of so many rows by their CRC-32, so no vocabulary is kept, and an
    unknown word is what its known pieces are.
    """

    def __init__(
        self, rows: int, width: int, out: int, hidden: int = 512, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(rows, width, mode="mean")
        self.projector = Projector(width, out, hidden, dropout)

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "text out"]:
        rows = [row_numbers(text, self.table.num_embeddings) for text in texts]
        begins = torch.tensor([0, *map(len, rows[:-1])]).cumsum(0)
        return self.projector(
            self.table(torch.tensor([one for own in rows for one in own]), begins)
        )


def row_numbers(text: str, rows: int) -> list[int]:
    """The rows of a text's runs, in its order; that of no run at all where it has no letters."""
    said = unicodedata.normalize("NFKC", text.lower())
    marked = [f"<{word}>" for word in _WORD.findall(said)]
    runs = [run for word in marked for run in (word, *_runs(word))] or [""]
    return [zlib.crc32(run.encode()) % rows for run in runs]


def _runs(word: str) -> list[str]:
    return [
        word[at : at + length]
        for length in _LENGTHS
        if length < len(word)
        for at in range(len(word) - length + 1)
    ]
