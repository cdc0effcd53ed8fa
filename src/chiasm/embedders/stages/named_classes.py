"""Pictures in a space of words: what a classifier says of them, by the classes' names."""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.class_names import class_names
from chiasm.embedders.contents import Content, words
from chiasm.embedders.stages.pictures import PictureReader, Pictures
from chiasm.embedders.stages.reduce import mean_over
from chiasm.embedders.stages.sentences import Sentences
from chiasm.embedders.states import States

CHUNK = 100
CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class NamedClasses:
    """v = sum_c p_c n_c, p = softmax(scores / temperature) of ImageNet's classes and n_c the unit
    mean of the states that `words` gives for the names of class c (ConSE, arXiv 1312.5650).

    The picture's encoder ends in classes. A text's unit mean state is of the same space.
    """

    pictures: Pictures
    words: Sentences
    temperature: float = 1.0

    @property
    def width(self) -> int:
        return self.words.width

    @property
    def vocabulary(self) -> int | None:
        return None

    def build(self, words: int | None = None) -> nn.Module:
        return NamedClassesEncoder(self)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> PictureReader:
        return self.pictures.reader(None)


class NamedClassesEncoder(nn.Module):
    """`[item, 3, height, width]` to states of one token an item."""

    names: Tensor

    def __init__(self, config: NamedClasses) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.pictures = config.pictures.build()
        if torch.empty(0).device.type == "meta":
            names = torch.empty(CLASSES, config.width)
        else:
            names = name_vectors(config.words).to(torch.empty(0).device).clone()
        self.register_buffer("names", names)

    def forward(self, images: Tensor) -> States:
        states = self.pictures(images)
        shares = (states.tokens / self.temperature).softmax(-1)
        return states.carrying(shares @ self.names)


@functools.cache
@torch.no_grad()
def name_vectors(of: Sentences) -> Float[Tensor, "class width"]:
    """The unit mean state of every class's names, said one after the other."""
    said = [Content(parts=(words(", ".join(names)),)) for names in class_names()]
    with torch.random.fork_rng(devices=[]):  # what is built is forgotten: it must draw nothing
        encoder, found = of.build().eval(), []
        reader = of.reader(of.tokenizer())
        for first in range(0, len(said), CHUNK):
            states = encoder(reader.read(said[first : first + CHUNK]))
            found.append(mean_over(states.tokens, states.valid))
    return nn.functional.normalize(torch.cat(found), dim=-1)
