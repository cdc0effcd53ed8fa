"""The model that a spec becomes: encode, connect, enter, run the decoder, emit."""

from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.asking import asked_of, last_prompt_rows, one_each
from chiasm.backbone import Cache, Decoder, Execution
from chiasm.drawing import Drafted, draft_rows, drafted
from chiasm.errors import Misuse
from chiasm.pointing import Points, read_back, with_pointers
from chiasm.spec import Answers
from chiasm.spec.reading import Losses
from chiasm.stream import Asked, Connects, Features, Inputs, Memory, Stream, Tokens
from chiasm.stream.table import take
from chiasm.vacating import without_vacant

PARTS = (
    "encoder",
    "connector",
    "fusion",
    "tower",
    "experts",
    "decoder",
    "head",
    "flow",
    "action",
)
"""Names by which stages and counts speak of a model's parameters.

fusion is what fills the decoder's slots, tower a second live stack beside the host's or ahead of it
(with words and head of its own, `unimodal`, where it has them), experts the weights that an experts
answer adds to the host's own, flow where rows of a drawn picture enter and leave, action a policy
beside the text head.
"""


class Keeps(Protocol):
    def keep(self, features: Features, losses: Losses | None = None) -> Features: ...


class Emits(Protocol):
    def emit(self, hidden: Tensor) -> Tensor: ...


class Flows(Protocol):
    def enter(self, values: Tensor, place: Tensor) -> Tensor: ...

    def velocity(self, hidden: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Taught:
    """The losses of one batch."""

    main: Float[Tensor, ""]
    """The objective's."""
    auxiliary: dict[str, Tensor]
    """What the layers ask for besides, by name, already weighted."""
    parts: dict[str, Tensor]
    """What the objective's loss is the sum of (text, velocity), where it may be of several."""

    @property
    def total(self) -> Float[Tensor, ""]:
        """What is minimised."""
        return self.main + sum(self.auxiliary.values())


@dataclass(frozen=True)
class Media:
    """One batch's images after encoder and connector, laid out per sample."""

    entering: Float[Tensor, "batch media width"]
    """Tokens that replace placeholder rows."""
    memory: Memory | None
    """Tokens that layers read, where the fusion reads a memory."""
    there: Bool[Tensor, "batch media"] | None = None
    """False for a token that the encoder left out; None where it leaves none out."""


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

    def media(
        self, inputs: Inputs, *, asked: Asked | None = None, losses: Losses | None = None
    ) -> Media | None:
        """Features, tokens and memory of the batch's images; None when it has none.

        A connector that reads what is asked gets `asked`, and the images once for each sample.
        """
        if inputs.images is None or self.encoder is None or inputs.owners is None:
            return None
        owners = inputs.owners
        given = [inputs.images, inputs.image_valid]
        if getattr(self.encoder, "numbered", False):
            given.append(view_numbers(owners, len(inputs.images)))
        features = cast(Features, self.encoder(*given))
        if self.answers.connector.conditioned:
            features, owners = one_each(features, owners)
        connected = self._connect(features, asked)
        entering = self._kept(features, connected, asked, losses)
        memory, planned = None, features.planned
        if self.answers.fusion.reads_memory and inputs.memory is not None:
            read, there = laid_out(connected, planned, owners)
            length, table = inputs.memory.shape[1], inputs.memory
            table = table if there is None else table.hiding(~there[:, :length])
            memory = Memory(read[:, :length], table)
        rows, there = laid_out(entering, planned, owners)
        return Media(rows, memory, there)

    def stream(
        self,
        inputs: Inputs,
        *,
        cache: Cache | None = None,
        browsing: bool = False,
        losses: Losses | None = None,
    ) -> Stream:
        """Word embeddings with media rows replaced, and the memory beside them.

        While `browsing`, a connector that reads what is asked has no earlier pass to read. Image
        rows that ids point at may be in the `cache`.
        """
        words, pointers = inputs.ids, self.answers.head.pointers
        if pointers:
            words = words.masked_fill(words >= self.answers.host.vocabulary, 0)
        embeddings, asked = self.decoder.embed(words), None
        if self.answers.connector.conditioned and inputs.owners is not None:
            browse = None if browsing else lambda: self._browse(inputs)
            asked = asked_of(inputs, embeddings, browse)
        if inputs.latents is not None and inputs.latent_of is not None:
            held = take(inputs.latents, inputs.latent_of.clamp(min=0)).to(embeddings.dtype)
            rows = cast(Flows, self.head).enter(held, inputs.table.place).to(embeddings.dtype)
            embeddings = torch.where((inputs.latent_of >= 0).unsqueeze(-1), rows, embeddings)
        media = self.media(inputs, asked=asked, losses=losses)
        if media is not None and self.answers.fusion.enters:
            rows = take(media.entering, inputs.source.clamp(min=0)).to(embeddings.dtype)
            embeddings = torch.where((inputs.source >= 0).unsqueeze(-1), rows, embeddings)
        if pointers:
            embeddings = read_back(embeddings, inputs, self.answers.host.vocabulary, cache)
        if media is None:
            return Stream(embeddings, inputs.table, adapter=inputs.adapter)
        table = inputs.table
        if media.there is not None and self.answers.fusion.enters:
            there = take(media.there, inputs.source.clamp(min=0))
            table = table.hiding((inputs.source >= 0) & ~there)
        return Stream(
            embeddings, table, media.memory, inputs.source, inputs.adapter, inputs.spotted
        )

    @torch.no_grad()
    def _browse(self, inputs: Inputs) -> Float[Tensor, "batch item width"]:
        """For each image the final hidden state of its turn's last prompt row, from a pass without
        a condition.
        """
        hidden = self.decoder(self.stream(inputs, browsing=True))
        return take(hidden, last_prompt_rows(inputs))

    def hidden(
        self,
        inputs: Inputs,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
        losses: Losses | None = None,
    ) -> Float[Tensor, "batch token read"]:
        """What the head reads of every row: its final hidden state, and where the head points,
        that row's scores of the image rows behind it.
        """
        stream = self.stream(inputs, cache=cache, losses=losses)
        pointers = self.answers.head.pointers
        hidden = self._decoded(stream, cache, execution, losses)
        if not pointers:
            return hidden
        head = cast(Points, self.head)
        return with_pointers(head, hidden, stream.embeddings, inputs, pointers, cache)

    def _decoded(
        self, stream: Stream, cache: Cache | None, execution: Execution, losses: Losses | None
    ) -> Float[Tensor, "batch token width"]:
        """The decoder's hidden states; rows of tokens that an encoder left out pass no layer."""

        def run(of: Stream) -> Tensor:
            return self.decoder(of, cache=cache, execution=execution, losses=losses)

        leaves_out = bool(getattr(self.answers.encoder, "leaves_out", False))
        if not leaves_out or execution is Execution.MASKED:
            return run(stream)
        return without_vacant(stream, run)

    def forward(
        self,
        inputs: Inputs,
        *,
        cache: Cache | None = None,
        execution: Execution = Execution.PLANNED,
    ) -> Float[Tensor, "batch token vocabulary"]:
        """Logits of every row."""
        return self.scores(self.hidden(inputs, cache=cache, execution=execution))

    def scores(self, hidden: Float[Tensor, "*row read"]) -> Float[Tensor, "*row vocabulary"]:
        """What the head makes of what it reads of rows."""
        return cast(Emits, self.head).emit(hidden)

    def velocity(self, hidden: Float[Tensor, "*row width"]) -> Float[Tensor, "*row patch"]:
        """Where hidden states of latent rows say that their latents move."""
        return cast(Flows, self.head).velocity(hidden)

    def losses(
        self, inputs: Inputs, *, total: int | None = None, drafts: int | None = None
    ) -> Taught:
        """The objective on labelled rows and on drafts, and the layers' own losses; only those rows
        reach the head. What training draws is drawn here: the noise of drafts that have none yet,
        and positions.

        `total` and `drafts` are the labels and the drafts' rows of a whole accumulation window, of
        which this batch counts its share.
        """
        labels = inputs.labels
        if labels is None:
            raise ValueError("these inputs carry no labels")
        if self.training:
            inputs = replace(inputs, table=self.answers.positions.taught(inputs.table))
        objective, drawn = self.answers.teaching.objective, self._drafted(inputs)
        taught, collected = labels >= 0, Losses()
        hidden = self.hidden(inputs if drawn is None else drawn.inputs, losses=collected)
        parts: dict[str, Tensor] = {}
        if drawn is None or bool(taught.any()):
            scores = self.scores(hidden[taught])
            parts["text"] = objective.judge(scores, labels[taught], total)
        if drawn is not None:
            said, right = self.velocity(hidden[drawn.rows]), drawn.velocity[drawn.rows]
            parts["velocity"] = objective.judge_velocity(said, right, drafts)
        align = getattr(self.connector, "align", None)
        if align is not None:
            states = hidden[..., : self.answers.host.width]
            collected.add("alignment", align(states, inputs))
        judged = getattr(self.head, "auxiliary", None)
        if judged is not None:
            for name, loss in judged(hidden[taught], labels[taught]).items():
                collected.add(name, loss)
        share = float(taught.sum()) / total if total else 1.0
        layers = {name: share * loss for name, loss in collected.named.items()}
        main = torch.stack([*parts.values()]).sum()
        return Taught(main, layers, {} if self.answers.head.latent is None else parts)

    def _drafted(self, inputs: Inputs) -> Drafted | None:
        """The inputs with noised drafts, if there is any draft."""
        latent = self.answers.head.latent
        if latent is None or inputs.latents is None or not bool(draft_rows(inputs.table).any()):
            return None
        return drafted(inputs, self.answers.teaching.objective.flow, latent.rows)

    def loss(
        self, inputs: Inputs, *, total: int | None = None, drafts: int | None = None
    ) -> Float[Tensor, ""]:
        """What is minimised: the objective's loss and the layers' own."""
        return self.losses(inputs, total=total, drafts=drafts).total

    def part(self, name: str) -> list[nn.Parameter]:
        """The parameters of one part; fusion owns what fills the decoder's slots."""
        return [p for key, p in self.named_parameters() if part_of(key) == name]

    def _kept(
        self, features: Features, connected: Tokens, asked: Asked | None, losses: Losses | None
    ) -> Tokens:
        """What is left to enter: of the features, connected anew, or of the connected tokens."""
        if self.compressor is None:
            return connected
        keep = cast(Keeps, self.compressor).keep
        if not self.answers.compression.of_tokens:
            return self._connect(keep(features, losses), asked)
        grid = connected.grid or (1, connected.embeddings.shape[1])
        kept = keep(Features(connected.embeddings, grid, connected.valid), losses)
        return Tokens(kept.tokens, kept.valid, kept.grid)

    def _connect(self, features: Features, asked: Asked | None) -> Tokens:
        if self.connector is None or self.answers.connector.layerwise:
            return Tokens(features.tokens, features.valid, features.grid)
        return cast(Connects, self.connector).connect(features, asked)


SLOTS = tuple(f"decoder.stack.{slot}." for slot in ("before", "joined", "beside", "between"))


AROUND = ("decoder.prologue.", "decoder.epilogue.")


def part_of(parameter: str) -> str:
    """The part a parameter's full name belongs to."""
    if ".experts." in parameter or ".choose." in parameter:
        return "experts"
    if parameter.startswith(("head.flow.", "head.pictures.")):
        return "flow"
    if parameter.startswith("head.action."):
        return "action"
    if ".unimodal." in parameter:
        return "tower"
    if parameter.startswith(
        (*SLOTS, *AROUND, "decoder.tower.before.", "decoder.after.", "decoder.widen.")
    ):
        return "fusion"
    if ".text_tower." in parameter or parameter.startswith("connector.vision_tower."):
        return "encoder"
    if parameter.startswith(("decoder.tower.", "decoder.tower_norm.", "decoder.ahead.")):
        return "tower"
    part = parameter.split(".", 1)[0]
    return "connector" if part == "compressor" else part


def view_numbers(owners: Int[Tensor, "batch item"], views: int) -> Int[Tensor, " view"]:
    """The place of every view in the sample that shows it: wherever it lies in the batch, a view
    of an image has the same place among the image's.
    """
    places = torch.arange(owners.shape[1], device=owners.device).expand_as(owners)
    held = owners >= 0
    return places.new_zeros(views).scatter(0, owners[held], places[held])


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


def laid_out(
    tokens: Tokens,
    planned: Bool[Tensor, "image token"] | None,
    owners: Int[Tensor, "batch item"],
) -> tuple[Float[Tensor, "batch media width"], Bool[Tensor, "batch media"] | None]:
    """Each sample's tokens as geometry counts them, and which of them there are, where an encoder
    left some out of those that were `planned`.

    Raises Misuse where a connector makes fewer tokens than geometry counts of what is left.
    """
    if planned is None or tokens.valid is None or bool(tokens.valid.all()):
        return per_sample(tokens, owners), None
    if planned.shape != tokens.valid.shape:
        raise Misuse(
            "the encoder leaves tokens out, and the connector makes fewer of those that are left; "
            "choose one that maps each token, or reads all of them into a fixed number"
        )
    there = Tokens(tokens.valid.unsqueeze(-1).float(), planned)
    rows = per_sample(Tokens(tokens.embeddings, planned), owners)
    return rows, per_sample(there, owners).squeeze(-1) > 0


def _range(owners: Tensor) -> Tensor:
    return torch.arange(owners.shape[0], device=owners.device)
