"""What encoders of two sides read: words of some items, pictures of some, of a few both."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.contents import Content
from chiasm.embedders.stages.pictures import PictureReader
from chiasm.stream import Modality

WRITTEN = (Modality.TEXT, Modality.DOCUMENT, Modality.SPEECH)
SHOWN = (Modality.IMAGE, Modality.VIDEO)


@dataclass(frozen=True)
class Pair:
    """Which items have words, their ids and last places; which have a picture, and its pixels."""

    count: int
    written: Int[Tensor, " words"]
    ids: Int[Tensor, "words token"]
    last: Int[Tensor, " words"]
    shown: Int[Tensor, " pictures"]
    pixels: Float[Tensor, "pictures 3 height width"]

    def to(self, device: torch.device | str) -> "Pair":
        every = (self.written, self.ids, self.last, self.shown, self.pixels)
        return Pair(self.count, *(one.to(device) for one in every))

    def among(self, items: Int[Tensor, " some"]) -> Bool[Tensor, " item"]:
        """Which of all items these are."""
        none = torch.zeros(self.count, dtype=torch.bool, device=items.device)
        return none.index_fill(0, items, True)

    def place_of(self, items: Int[Tensor, " some"]) -> Int[Tensor, " some"]:
        """Where each of these items stands among the pictures."""
        return torch.searchsorted(self.shown, items)


@dataclass(frozen=True)
class PairReader:
    """Contents to a `Pair`; words are opened and closed by the tokenizer's own tokens."""

    tokenizer: PreTrainedTokenizerBase
    longest: int
    pictures: PictureReader

    def read(self, contents: Sequence[Content]) -> Pair:
        texts, views = ([one.only(kinds) for one in contents] for kinds in (WRITTEN, SHOWN))
        ids = [self._ids(one) for one in texts if one is not None]
        seen = [one for one in views if one is not None]
        return Pair(
            count=len(contents),
            written=_places(texts),
            ids=pad_sequence(ids, batch_first=True) if ids else torch.zeros(0, 2).long(),
            last=torch.tensor([len(one) - 1 for one in ids], dtype=torch.long),
            shown=_places(views),
            pixels=self.pictures.read(seen) if seen else torch.zeros(0, 3, 1, 1),
        )

    def _ids(self, content: Content) -> Int[Tensor, " token"]:
        said = " ".join(filter(None, (content.instruction, *(p.text for p in content.parts))))
        own = self.tokenizer(said, add_special_tokens=False)["input_ids"][: self.longest - 2]
        of = self.tokenizer
        first = of.cls_token_id if of.bos_token_id is None else of.bos_token_id
        last = of.sep_token_id if of.eos_token_id is None else of.eos_token_id
        return torch.tensor([first, *own, last])


def _places(of: Sequence[Content | None]) -> Int[Tensor, " some"]:
    return torch.tensor([at for at, one in enumerate(of) if one is not None], dtype=torch.long)
