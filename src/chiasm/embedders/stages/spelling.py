"""A space of spelling: hashed runs of letters, where words are near that are written alike."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.contents import Content
from chiasm.embedders.stages.vectors import Weightless


@dataclass(frozen=True, kw_only=True)
class Spelling(Weightless):
    """Counts of the runs of `lengths` characters in the text's words, each with a space on either
    side, added with a sign into one of `buckets` by their hash (Weinberger et al., arXiv
    0902.2206).
    """

    buckets: int = 512
    lengths: tuple[int, ...] = (3, 4)

    @property
    def width(self) -> int:
        return self.buckets

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "SpellingReader":
        return SpellingReader(self)


@dataclass(frozen=True)
class SpellingReader:
    """Contents to counts `[item, bucket]`; an instruction's words are not counted."""

    config: Spelling

    def read(self, contents: Sequence[Content]) -> Float[Tensor, "item bucket"]:
        counts = torch.zeros(len(contents), self.config.buckets)
        for row, content in zip(counts, contents, strict=True):
            for part in content.parts:
                for word in part.text.lower().split():
                    self._add(row, f" {word} ")
        return counts

    def _add(self, row: Tensor, word: str) -> None:
        for length in self.config.lengths:
            for at in range(len(word) - length + 1):
                found = zlib.crc32(word[at : at + length].encode())
                row[found // 2 % self.config.buckets] += 1.0 if found % 2 else -1.0
