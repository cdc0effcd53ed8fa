"""Cross the Gap (arXiv 2502.04263): a query's vector replaced by one of the other modality's tower.

What is learned, per query and nothing else, stands where a frozen encoder would embed its input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.contents import Content, shown, words
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Role

Put = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`(given, embedded, learned)` to what the encoder goes on with."""


@dataclass(frozen=True)
class Place:
    """Where learned vectors enter an encoder."""

    module: nn.Module
    """What embeds a tower's input; its output is replaced."""
    width: int
    put: Put


@dataclass(frozen=True)
class Native:
    """The null answer: a query's own vector searches."""

    @property
    def turns(self) -> bool:
        return False


NATIVE = Native()


@dataclass(frozen=True, kw_only=True)
class _Inversion:
    """argmin_v 1 - cos(f(v), q), q the query's own vector, f the tower `into` and all behind it.

    `count` vectors v ~ N(0, `deviation`^2), the same for every query, are taught by AdamW.
    """

    into: str
    """Name of the tower."""
    count: int = 1
    steps: int
    learning_rate: float = 0.02
    weight_decay: float = 0.01
    deviation: float = 0.02
    seed: int = 0

    @property
    def turns(self) -> bool:
        return True

    def start(self, queries: int, width: int) -> Float[Tensor, "query count width"]:
        """What every query begins with."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = self.deviation * torch.randn(self.count, width, generator=generator)
        return drawn.expand(queries, -1, -1).clone()


@dataclass(frozen=True, kw_only=True)
class TextualInversion(_Inversion):
    """OTI: pseudo-words in `template`, in place of word embeddings, before positions are added."""

    into: str = "text"
    steps: int = 150
    template: str = "a photo of {}"
    mark: str = "*"
    """A word of one token, and of no other text: what holds the places of the pseudo-words."""

    def content(self) -> Content:
        """What the tower is given."""
        said = self.template.format(" ".join([self.mark] * self.count))
        return Content(parts=(words(said),), role=Role.QUERY)

    def place(self, encoder: Any, tokenizer: PreTrainedTokenizerBase | None) -> Place:
        """Where in a tower of words.

        Raises:
            Misuse: the tower reads no words, or its tokenizer has no token for the mark.
        """
        table = getattr(encoder, "words", None)
        if table is None or tokenizer is None:
            raise Misuse(f"the tower {self.into!r} has no table of words; invert into another")
        ids = tokenizer(self.content().parts[0].text, add_special_tokens=False)["input_ids"]
        marks = [one for one in ids if str(tokenizer.decode([one])).strip() == self.mark]
        if len(marks) != self.count or len(set(marks)) > 1:
            raise Misuse(
                f"{self.mark!r} is {len(marks)} tokens of the tower {self.into!r} where "
                f"{self.count} pseudo-words are to stand; choose another mark"
            )
        mark = marks[0]

        def put(given: Int[Tensor, "query token"], embedded: Tensor, learned: Tensor) -> Tensor:
            at = (given == mark).unsqueeze(-1)
            return embedded.masked_scatter(at, learned.to(embedded.dtype))

        return Place(table, table.embedding_dim, put)


@dataclass(frozen=True, kw_only=True)
class VisualInversion(_Inversion):
    """OVI: `count` pseudo-patches, each repeated over a run of places in reading order, in place of
    the patch embedding, before class token and positions.
    """

    into: str = "image"
    steps: int = 1000

    def content(self) -> Content:
        """What the tower is given: a blank picture, of which nothing is left."""
        return Content(parts=(shown(Image.new("RGB", (8, 8))),), role=Role.QUERY)

    def place(self, encoder: Any, tokenizer: PreTrainedTokenizerBase | None) -> Place:
        """Where in a tower of pictures.

        Raises:
            Misuse: the tower embeds no patches.
        """
        patches = getattr(encoder, "patches", None)
        if patches is None:
            raise Misuse(
                f"the tower {self.into!r} embeds no patches; invert into a vision transformer"
            )
        return Place(patches, patches.out_channels, spread)


def spread(
    given: Tensor,
    embedded: Float[Tensor, "query width row column"],
    learned: Float[Tensor, "query count width"],
) -> Float[Tensor, "query width row column"]:
    """Pseudo-patch floor(j R / N) at place j of N (nearest neighbour along the sequence)."""
    places, count = embedded.shape[2] * embedded.shape[3], learned.shape[1]
    if count > places:
        raise Misuse(f"{count} pseudo-patches for {places} places; learn at most as many")
    which = torch.arange(places, device=learned.device) * count // places
    filled = learned[:, which].transpose(1, 2).to(embedded.dtype)
    return filled.reshape(embedded.shape)
