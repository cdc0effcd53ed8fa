"""The first stage for words: any text encoder of transformers, packaged or fresh."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from chiasm.data.tokenizer import open_tokenizer
from chiasm.embedders.contents import Content
from chiasm.embedders.states import States
from chiasm.stream import Modality
from chiasm.weights import resolve

_UNREAD = ("pooler",)
"""Parts of a model of transformers behind its last hidden state."""


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Last hidden states of a text encoder.

    `settings` are the entries of its transformers config that differ from the defaults; with
    `weights`, an alias or a folder, the folder's own config and tokenizer stand.
    """

    model_type: str
    settings: tuple[tuple[str, Any], ...] = ()
    weights: str | None = None
    longest: int = 64
    """Tokens; what comes after is not read."""
    layers: bool = False
    """Whether the states after every layer go on too, for a fusion that reads several."""

    @property
    def config(self) -> Any:
        return _config(self)

    @property
    def width(self) -> int:
        return int(self.config.hidden_size)

    @property
    def vocabulary(self) -> int | None:
        return None if self.weights else int(self.config.vocab_size)

    def build(self, words: int | None = None) -> nn.Module:
        if self.weights is not None and torch.empty(0).device.type != "meta":
            model = AutoModel.from_pretrained(resolve(self.weights), dtype=torch.float32)
        else:
            config = self.config if words is None else _with_words(self.config, words)
            kind = AutoModelForTextEncoding
            known = type(config) in kind._model_mapping
            model = (kind if known else AutoModel).from_config(config)
        for name in _UNREAD:
            if getattr(model, name, None) is not None:
                setattr(model, name, None)
        return SentenceEncoder(model, self.layers)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None if self.weights is None else open_tokenizer(resolve(self.weights))

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "SentenceReader":
        if tokenizer is None:
            raise ValueError("a tower of words needs a tokenizer")
        return SentenceReader(tokenizer, self.longest)


@functools.cache
def _config(of: Sentences) -> Any:
    if of.weights is not None:
        return AutoConfig.from_pretrained(resolve(of.weights), local_files_only=True)
    return AutoConfig.for_model(of.model_type, **dict(of.settings))


def _with_words(config: Any, words: int) -> Any:
    made = type(config).from_dict(config.to_dict())
    made.vocab_size = words
    return made


@dataclass(frozen=True)
class Words:
    """Ids of texts, padded at the end."""

    ids: Int[Tensor, "item token"]
    valid: Bool[Tensor, "item token"]
    told: Bool[Tensor, "item token"]
    modality: int = int(Modality.TEXT)

    def to(self, device: torch.device | str) -> "Words":
        ids, valid, told = (one.to(device) for one in (self.ids, self.valid, self.told))
        return Words(ids, valid, told, self.modality)


class SentenceEncoder(nn.Module):
    """Words to states of their tokens."""

    def __init__(self, model: nn.Module, layers: bool) -> None:
        super().__init__()
        self.model, self._layers = model, layers

    @property
    def words(self) -> nn.Embedding:
        """The table of word embeddings."""
        return cast(nn.Embedding, cast(PreTrainedModel, self.model).get_input_embeddings())

    def forward(self, words: Words) -> States:
        out = self.model(
            input_ids=words.ids,
            attention_mask=words.valid.long(),
            output_hidden_states=self._layers,
        )
        return States(
            tokens=out.last_hidden_state,
            valid=words.valid,
            modality=torch.full_like(words.ids, words.modality),
            told=words.told,
            layers=tuple(out.hidden_states[1:]) if self._layers else (),
        )


@dataclass(frozen=True)
class SentenceReader:
    """Contents to words: the instruction, then the texts of the parts."""

    tokenizer: PreTrainedTokenizerBase
    longest: int

    def read(self, contents: Sequence[Content]) -> Words:
        texts = [
            " ".join(filter(None, (content.instruction, *(part.text for part in content.parts))))
            for content in contents
        ]
        made = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        ids, valid = made["input_ids"], made["attention_mask"].bool()
        return Words(ids, valid, torch.zeros_like(valid), int(contents[0].parts[0].modality))
