"""The model that a spec becomes: encode, connect, enter, run the decoder, emit."""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.backbone import Cache, Decoder, Execution
from chiasm.spec import Answers
from chiasm.stream import Features, Inputs, Memory, Stream, Tokens
from chiasm.stream.table import take

PARTS = ("encoder", "connector", "fusion", "decoder", "head")
"""Names by which stages and counts speak of a model's parameters."""


class Connects(Protocol):
    def connect(self, features: Features) -> Tokens: ...


class Keeps(Protocol):
    def keep(self, features: Features) -> Features: ...


class Emits(Protocol):
    def emit(self, hidden: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Media:
    """One batch's images after encoder and connector, laid out per sample."""

    entering: Float[Tensor, "batch media width"]
    """Tokens that replace placeholder rows."""
    memory: Memory | None
    """Tokens that layers read, where the fusion reads a memory."""


class Model(nn.Module):
    """A multimodal model built from `answers`; see `chiasm.assemble`.

    The forward pass in execution order: `encode` images, `enter` them into a stream, run the
    `decoder`, `emit` scores.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        encoder: nn.Module | None,
        compressor: nn.Module | None,
        connector: nn.Module | None,
        decoder: Decoder,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.answers = answers
        self.encoder, self.compressor, self.connector = encoder, compressor, connector
        self.decoder, self.head = decoder, head

    @property
    def device(self) -> torch.device:
        return self.decoder.embed_tokens.weight.device

    def media(self, inputs: Inputs) -> Media | None:
        """Features, tokens and memory of the batch's images; None when it has none."""
        if inputs.images is None or self.encoder is None or inputs.owners is None:
            return None
        features = cast(Features, self.encoder(inputs.images, inputs.image_valid))
        connected = self._connect(features)
        if self.compressor is not None:
            kept = cast(Keeps, self.compressor).keep(features)
            entering = self._connect(kept)
        else:
            entering = connected
        memory = None
        if self.answers.fusion.reads_memory and inputs.memory is not None:
            read = per_sample(connected, inputs.owners)[:, : inputs.memory.shape[1]]
            memory = Memory(read, inputs.memory)
        return Media(per_sample(entering, inputs.owners), memory)

    def stream(self, inputs: Inputs) -> Stream:
        """Word embeddings with media rows replaced, and the memory beside them."""
        embeddings = self.decoder.embed(inputs.ids)
        media = self.media(inputs)
        if media is None:
            return Stream(embeddings, inputs.table)
        if media.entering.shape[-1] == embeddings.shape[-1] and self.enters:
            rows = take(media.entering, inputs.source.clamp(min=0)).to(embeddings.dtype)
            embeddings = torch.where((inputs.source >= 0).unsqueeze(-1), rows, embeddings)
        return Stream(embeddings, inputs.table, media.memory, inputs.source)

    @property
    def enters(self) -> bool:
        """Whether connected tokens take rows of the sequence at its entry."""
        return not self.answers.connector.layerwise and self.answers.fusion.placeholders(1) > 0

    def hidden(
        self,
        inputs: Inputs,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
    ) -> Float[Tensor, "batch token width"]:
        """Final hidden states of every row."""
        return self.decoder(self.stream(inputs), cache=cache, execution=execution)

    def forward(
        self,
        inputs: Inputs,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
    ) -> Float[Tensor, "batch token vocabulary"]:
        """Logits of every row."""
        return self.scores(self.hidden(inputs, cache=cache, execution=execution))

    def scores(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row vocabulary"]:
        """What the head makes of hidden states."""
        return cast(Emits, self.head).emit(hidden)

    def loss(self, inputs: Inputs, *, total: int | None = None) -> Float[Tensor, ""]:
        """The objective on the labelled rows; only those rows reach the head."""
        if inputs.labels is None:
            raise ValueError("these inputs carry no labels")
        taught = inputs.labels >= 0
        scores = self.scores(self.hidden(inputs)[taught])
        return self.answers.teaching.objective.judge(scores, inputs.labels[taught], total)

    def part(self, name: str) -> list[nn.Parameter]:
        """The parameters of one part; fusion owns what fills the decoder's slots."""
        return [p for key, p in self.named_parameters() if part_of(key) == name]

    def _connect(self, features: Features) -> Tokens:
        if self.connector is None or self.answers.connector.layerwise:
            return Tokens(features.tokens, features.valid)
        return cast(Connects, self.connector).connect(features)


def part_of(parameter: str) -> str:
    """The part a parameter's full name belongs to."""
    if parameter.startswith(("decoder.stack.before.", "decoder.prologue.")):
        return "fusion"
    part = parameter.split(".", 1)[0]
    return "connector" if part == "compressor" else part


def per_sample(
    tokens: Tokens, owners: Int[Tensor, "batch item"]
) -> Float[Tensor, "batch media width"]:
    """Each sample's images' tokens in a row, as geometry counts them: padded tokens come last.

    Missing images repeat image 0 (masked by the table).
    """
    batch, items = owners.shape
    embeddings, valid = tokens.embeddings, tokens.valid
    if valid is None:
        own = items == 1 and batch == embeddings.shape[0]
        if own and bool((owners[:, 0] == _range(owners)).all()):
            return embeddings
        return embeddings[owners.clamp(min=0)].flatten(1, 2)
    held = (valid[owners.clamp(min=0)] & (owners >= 0).unsqueeze(-1)).flatten(1)
    rows = embeddings[owners.clamp(min=0)].flatten(1, 2)
    return take(rows, (~held).long().argsort(dim=1, stable=True))


def _range(owners: Tensor) -> Tensor:
    return torch.arange(owners.shape[0], device=owners.device)
