"""Words that an OCR found in examples' pictures, as rows for a model that reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedTokenizerBase

from chiasm.data.spotted import Box, Spot
from chiasm.stream import Spotted

MOST = 128
"""Pieces of words that are read of one sample; those behind are left out."""


@dataclass
class SpottedRows:
    """The words of one sample, picture after picture as they are shown."""

    ids: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    item: list[int] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    answered: float = -1.0

    def add(self, spots: Sequence[Spot], item: int, tokenizer: PreTrainedTokenizerBase) -> None:
        """The words of a picture; one without a text or a box is left out."""
        for spot in spots:
            if spot.text is None or spot.box is None:
                continue
            pieces = tokenizer.encode(spot.text, add_special_tokens=False)
            pieces = pieces[: MOST - len(self.ids)]
            self.ids += pieces
            self.boxes += [spot.box] * len(pieces)
            self.item += [item] * len(pieces)
            self.texts.add(spot.text.casefold())

    def judge(self, answer: str) -> None:
        """Whether an answer is one of the words; unknown where none was found."""
        if self.ids and answer:
            self.answered = float(answer.casefold().strip() in self.texts)


def spotted(samples: Sequence[SpottedRows], *, teach: bool) -> Spotted | None:
    """The batch's words, padded; None where no sample has any."""
    count = max((len(sample.ids) for sample in samples), default=0)
    if not count:
        return None
    ids = torch.zeros(len(samples), count, dtype=torch.long)
    boxes, item = torch.zeros(len(samples), count, 4, dtype=torch.long), torch.zeros_like(ids)
    valid = torch.zeros(len(samples), count, dtype=torch.bool)
    for at, sample in enumerate(samples):
        held = len(sample.ids)
        if held:
            ids[at, :held] = torch.tensor(sample.ids)
            boxes[at, :held] = torch.tensor(sample.boxes)
            item[at, :held] = torch.tensor(sample.item)
            valid[at, :held] = True
    answered = torch.tensor([sample.answered for sample in samples]) if teach else None
    return Spotted(ids, boxes, item, valid, answered)
