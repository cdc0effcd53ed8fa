"""The first stage as a language model of our own: words alone, or all parts in one sequence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm import weights
from chiasm.assemble import build
from chiasm.compression import NoCompression, PooledTokens
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.render import Rendered, text_ids
from chiasm.data.templates import named
from chiasm.data.tokenizer import open_tokenizer
from chiasm.embedders.contents import Content
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.hub.pretrained import fill_host
from chiasm.model import Model
from chiasm.retrieval.embedder import Role as Side
from chiasm.spec import Answers, geometry
from chiasm.stream import Features, Inputs, Role

LARGE = (4096, 4096)
"""Pixels of a picture that has as many tokens as any."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is written around an item: before it by its side, behind it, and the last token."""

    query: str = ""
    document: str = ""
    closing: str = ""
    marker: str = "<eos>"
    """A special token of the tokenizer; "" for none."""
    longest: int = 128
    """Tokens of each part's text; what comes after is not read."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Final hidden states of a model of ours (`chiasm.spec.Answers`), its head left out.

    The sequence: instruction (system), what the side is told, the parts in their order, what
    closes them, one marker. Rows carry the modality of their part.
    """

    answers: Answers
    prompt: Prompt
    layers: bool = False
    """Whether the states after every layer go on too, for a fusion that reads several."""

    @property
    def width(self) -> int:
        return self.answers.host.width

    @property
    def vocabulary(self) -> int | None:
        return self.answers.host.vocabulary if self.answers.host.weights is None else None

    def at_side(self, side: int) -> "Backbone":
        """The same, each view of a picture averaged over a grid of `side x side` shares; itself
        where it looks at none.

        Raises:
            Misuse: views have fewer tokens than that.
        """
        whole = replace(self.answers, compression=NoCompression())
        most = max(geometry(whole, LARGE).tokens_per_view, default=0)
        if not most:
            return self
        if not 0 < side * side <= most:
            raise Misuse(
                f"pictures of {most} tokens cannot be averaged to {side} x {side}; "
                f"give a side of 1 to {isqrt(most)}"
            )
        pooled = PooledTokens(frames=1, kept_frames=1, side=side)
        return replace(self, answers=replace(self.answers, compression=pooled))

    def build(self, words: int | None = None) -> "BackboneEncoder":
        answers = self.answers
        if words is not None:
            answers = replace(answers, host=replace(answers.host, vocabulary=words))
        model = build(answers, seed=None, device=torch.empty(0).device)
        if answers.host.weights is not None and model.device.type != "meta":
            fill_host(model, weights.resolve(answers.host.weights))
        return BackboneEncoder(model, self.layers)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        host = self.answers.host
        return None if host.weights is None else open_tokenizer(weights.resolve(host.weights))

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "BackboneReader":
        if tokenizer is None:
            raise ValueError("a backbone needs a tokenizer")
        return BackboneReader(self, tokenizer)


@dataclass(frozen=True)
class Sequences:
    """Inputs of the model, and the modality of every row's part."""

    inputs: Inputs
    modality: Int[Tensor, "item token"]
    told: Bool[Tensor, "item token"]
    tasks: tuple[int, ...]
    compression: Any
    """What was counted on to be kept of pictures."""
    encoded: "Encoded | None" = None
    """Where these pictures are read at several sizes."""

    def to(self, device: torch.device | str) -> "Sequences":
        return replace(
            self,
            inputs=self.inputs.to(device),
            modality=self.modality.to(device),
            told=self.told.to(device),
        )


class BackboneEncoder(nn.Module):
    """Sequences to states of their rows."""

    def __init__(self, model: Model, layers: bool) -> None:
        super().__init__()
        self.model, self._layers = model, layers

    @property
    def words(self) -> nn.Embedding:
        """The table of word embeddings."""
        return self.model.decoder.embed_tokens

    def forward(self, read: Sequences) -> States:
        before: list[Tensor] | None = [] if self._layers else None
        model = keeping(self.model, read)
        hidden = model.decoder(model.stream(read.inputs), inputs=before)
        return States(
            tokens=hidden,
            layers=(*before[1:], hidden) if before else (),
            valid=read.inputs.table.valid,
            modality=read.modality,
            told=read.told,
        )


@dataclass
class Encoded:
    """Features of a batch's pictures, encoded when they are first asked for."""

    features: Features | None = None


class EncodedOnce(nn.Module):
    """An encoder that runs once for all sizes at which the same pictures are read."""

    def __init__(self, encoder: nn.Module, held: Encoded) -> None:
        super().__init__()
        self.encoder, self.held = encoder, held

    def forward(self, images: Tensor, valid: Tensor | None = None) -> Features:
        features = self.held.features
        if features is None:
            features = self.held.features = self.encoder(images, valid)
        return features


def keeping(model: Model, read: Sequences) -> Model:
    """The model as the sequences were counted for: with another answer to what is kept of pictures,
    one without weights, and pictures encoded once.
    """
    compression, encoder = read.compression, model.encoder
    if compression == model.answers.compression and read.encoded is None:
        return model
    compressor = compression.build(model.answers.host.width)
    if compressor is not None and any(True for _ in compressor.parameters()):
        raise ValueError(f"{compression} has weights that this model has not")
    if read.encoded is not None and encoder is not None:
        encoder = EncodedOnce(encoder, read.encoded)
    return Model(
        replace(model.answers, compression=compression),
        encoder=encoder,
        compressor=compressor,
        connector=model.connector,
        decoder=model.decoder,
        head=model.head,
    )


@dataclass(frozen=True)
class BackboneReader:
    """Contents to sequences, through the collator of the whole library."""

    config: Backbone
    tokenizer: PreTrainedTokenizerBase

    def read(self, contents: Sequence[Content]) -> Sequences:
        answers = self.config.answers
        collator = Collator(answers, named(answers.template), self.tokenizer, self._rendered)
        examples = [self._example(number, content) for number, content in enumerate(contents)]
        inputs = collator.batch(examples, teach=False)
        table = inputs.table
        # Turn 0 is what the side is told; then one turn a part, and the closing.
        kinds = torch.zeros(len(contents), max(len(c.parts) for c in contents) + 2).long()
        for row, content in zip(kinds, contents, strict=True):
            row[1 : len(content.parts) + 1] = torch.tensor([int(p.modality) for p in content.parts])
        modality = kinds.gather(1, table.turn.clamp(max=kinds.shape[1] - 1))
        told = (table.role == int(Role.SYSTEM)) & table.valid
        tasks = tuple(content.task for content in contents)
        return Sequences(inputs, modality, told, tasks, answers.compression)

    def _example(self, number: int, content: Content) -> Example:
        prompt = self.config.prompt
        before = prompt.query if content.role is Side.QUERY else prompt.document
        turns = [Turn(before)]
        for part in content.parts:
            turns.append(Turn(part.text, places=(0,) * len(part.pictures)))
        pictures = tuple(one for part in content.parts for one in part.pictures)
        turns.append(Turn(prompt.closing))
        return Example(f"item {number}", pictures, tuple(turns), system=content.instruction)

    def _rendered(
        self,
        template: Any,
        tokenizer: Any,
        images: Any,
        turns: Sequence[Turn],
        answers: bool,
        *,
        independent: bool = False,
        system: str = "",
    ) -> list[Rendered]:
        """The ids and places of one item, in order."""
        out: list[Rendered] = []

        def said(text: str, role: Role, turn: int) -> None:
            if ids := text_ids(tokenizer, text)[: self.config.prompt.longest]:
                out.append(Rendered(ids, role, False, None, turn))

        said(system, Role.SYSTEM, 0)
        image = 0
        for number, turn in enumerate(turns):
            for _ in turn.places:
                out.append(Rendered([], Role.USER, False, image, number))
                image += 1
            said(turn.question, Role.USER, number)
        if self.config.prompt.marker:
            marker = tokenizer.convert_tokens_to_ids(self.config.prompt.marker)
            out.append(Rendered([marker], Role.TAG, False, None, len(turns) - 1))
        return out
