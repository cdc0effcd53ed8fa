"""One tower: an encoder of some modalities, what it reduces its tokens to, and its projection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.contents import Content
from chiasm.stream import Modality


class Reader(Protocol):
    """Makes an encoder's inputs."""

    def read(self, contents: Sequence[Content]) -> Any:
        """Inputs of contents that all have something for it; `to(device)` moves them."""
        ...


class Encodes(Protocol):
    """The first stage, a frozen value. Its module maps a reader's inputs to `States`."""

    @property
    def width(self) -> int: ...

    @property
    def vocabulary(self) -> int | None:
        """Most words of a tokenizer fitted on the data; None where it brings one, or reads none."""
        ...

    def build(self, words: int | None = None) -> nn.Module:
        """The module; `words` is the size of the fitted tokenizer."""
        ...

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """The tokenizer that it brings."""
        ...

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> Reader: ...


@dataclass(frozen=True, kw_only=True)
class Tower:
    """Reads the parts of an item that are of its modalities, and nothing else."""

    name: str
    reads: tuple[Modality, ...]
    encoder: Encodes
    reduce: Any
    project: Any

    @property
    def width(self) -> int:
        """Of what comes out."""
        return self.project.width(self.reduce.width(self.encoder.width))
