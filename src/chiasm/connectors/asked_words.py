"""What a connector reads of a question: the host's word embeddings, or a text tower's states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from chiasm.spec import Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked


class WordReader(Protocol):
    """Makes one feature of every word that is asked."""

    def out_width(self, host_width: int) -> int: ...

    def build(self, words: int) -> nn.Module:
        """A module from the first `words` rows of what is asked to `[image, word, width]`."""
        ...

    def work(self, words: int) -> Sequence[Work]: ...


@dataclass(frozen=True)
class HostWords:
    """The host's own embeddings of the words."""

    def out_width(self, host_width: int) -> int:
        return host_width

    def build(self, words: int) -> nn.Module:
        return EmbeddedWords()

    def work(self, words: int) -> Sequence[Work]:
        return ()


class EmbeddedWords(nn.Module):
    """`asked` to its embeddings."""

    def forward(self, asked: Asked) -> Float[Tensor, "image word width"]:
        return asked.embeddings


@dataclass(frozen=True, kw_only=True)
class TextTower:
    """The last hidden states of a CLIP text encoder (arXiv 2103.00020), causal over the words.

    Its parameters count as an encoder's: where the stages freeze encoders, it is frozen.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    ff_width: int

    def out_width(self, host_width: int) -> int:
        return self.width

    def build(self, words: int) -> nn.Module:
        return ReadWords(self, words)

    def work(self, words: int) -> Sequence[Work]:
        each = (
            linear("connector", "words' query, key and value", words, self.width, 3 * self.width),
            attention("connector", "among words", words**2, self.heads, self.width // self.heads),
            linear("connector", "words' output", words, self.width, self.width),
            linear("connector", "words' feed-forward", words, self.width, 2 * self.ff_width),
        )
        return each * self.depth


class ReadWords(nn.Module):
    """`asked` to `[image, word, width]`; padding stands last, where causal rows never look."""

    def __init__(self, config: TextTower, words: int) -> None:
        super().__init__()
        sizes = CLIPTextConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.ff_width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            max_position_embeddings=words,
        )
        self.text_tower = CLIPTextModel(sizes)

    def forward(self, asked: Asked) -> Float[Tensor, "image word width"]:
        return self.text_tower(input_ids=asked.ids).last_hidden_state
