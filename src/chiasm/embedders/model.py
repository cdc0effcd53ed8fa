"""The module that an embedder's answers become: encode, fuse, reduce, project, give."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from chiasm.embedders.contents import Content
from chiasm.embedders.stages.tower import Reader, Tower
from chiasm.embedders.states import Read, States, placed
from chiasm.errors import Misuse
from chiasm.model import part_of as part_of_model
from chiasm.retrieval.embedding import Embedding
from chiasm.spec.embedder import EmbedderAnswers


@dataclass(frozen=True)
class Given:
    """A batch as the towers take it: by tower the items that have something for it, and what.

    What a frozen tower saw earlier may stand for its inputs, as `States`.
    """

    count: int
    inputs: Mapping[str, tuple[Int[Tensor, " own"], Any]]

    def to(self, device: torch.device | str) -> "Given":
        return Given(
            self.count,
            {name: (at.to(device), own.to(device)) for name, (at, own) in self.inputs.items()},
        )


def given(
    contents: Sequence[Content], towers: Sequence[Tower], readers: Mapping[str, Reader]
) -> Given:
    """Contents read for every tower that takes a part of them.

    Raises:
        Misuse: no content, or one that no tower reads.
    """
    if not contents:
        raise Misuse("no item to embed; give at least 1")
    inputs: dict[str, tuple[Tensor, Any]] = {}
    unread = set(range(len(contents)))
    for tower in towers:
        own = [content.only(tower.reads) for content in contents]
        at = [number for number, content in enumerate(own) if content is not None]
        unread -= set(at)
        if at:
            read = readers[tower.name].read([content for content in own if content is not None])
            inputs[tower.name] = torch.tensor(at), read
    if unread:
        held = {part.modality.name.lower() for part in contents[min(unread)].parts}
        known = {one.name.lower() for tower in towers for one in tower.reads}
        raise Misuse(
            f"{' and '.join(sorted(held))} given to an embedder that takes "
            f"{', '.join(sorted(known))}"
        )
    return Given(len(contents), inputs)


class EmbedderModel(nn.Module):
    """Contents, as `given` reads them, to embeddings; built by `chiasm.embedders.build`."""

    def __init__(self, answers: EmbedderAnswers, words: Mapping[str, int]) -> None:
        super().__init__()
        self.answers = answers
        towers: tuple[Tower, ...] = answers.encode
        self.encoders, self.reducers, self.projections = (nn.ModuleDict() for _ in range(3))
        for tower in towers:
            width = tower.encoder.width
            self.encoders[tower.name] = tower.encoder.build(words.get(tower.name))
            self.reducers[tower.name] = tower.reduce.build(width)
            self.projections[tower.name] = tower.project.build(tower.reduce.width(width))
        widths = {tower.name: tower.width for tower in towers}
        self.fusion = answers.fuse.build(widths)
        fused = answers.fuse.width(widths)
        self.outputs = nn.ModuleList(output.build(fused) for output in answers.outputs)
        self.score = answers.score.build()
        self.judge = answers.teaching.objective.build(widths)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, batch: Given) -> Read:
        """What every stage made of the batch."""
        seen: dict[str, States] = {}
        reduced: dict[str, States] = {}
        made: dict[str, States] = {}
        for name, (at, inputs) in batch.inputs.items():
            encoded = inputs if isinstance(inputs, States) else self.encoders[name](inputs)
            fewer = self.reducers[name](encoded)
            seen[name] = placed(encoded, at, batch.count)
            reduced[name] = placed(fewer, at, batch.count)
            made[name] = placed(self.projections[name](fewer), at, batch.count)
        fused = self.fusion(made, seen)
        outputs = tuple(
            output.gives.give(stage(fused))
            for output, stage in zip(self.answers.outputs, self.outputs, strict=True)
        )
        return Read(seen=seen, reduced=reduced, made=made, outputs=outputs, fused=fused)

    def under(self, answers: EmbedderAnswers) -> "EmbedderModel":
        """The same weights under answers that build the same modules."""
        shared = copy.copy(self)
        shared.answers = answers
        return shared

    @torch.inference_mode()
    def scores(self, queries: Embedding, documents: Embedding) -> Tensor:
        """How near they are, as the system compares them."""
        return self.score(queries, documents)


ADDED = ("adapters", "prompts")
"""What an encoder calls its parts that stand beside published weights."""


def part_of(parameter: str) -> str:
    """The part a parameter's full name belongs to: what `Stage.trained` names.

    A tower's encoder is `NAME`; inside a backbone `NAME.encoder`, `NAME.connector`,
    `NAME.experts`, `NAME.decoder`; what is added to a published one `NAME.adapters` and
    `NAME.prompts`. A tower's head is `NAME.head`. Then `fusion` (in it
    `fusion.projectors` and `fusion.routers` of bound spaces), `output` and `score` (what compares,
    and the loss's own).
    """
    stage, _, rest = parameter.partition(".")
    if stage == "encoders":
        name, _, inner = rest.partition(".")
        if inner.startswith("model.decoder.") or inner.startswith("model.encoder."):
            return f"{name}.{part_of_model(inner.removeprefix('model.'))}"
        if inner.startswith("model.connector."):
            return f"{name}.connector"
        added = inner.partition(".")[0]
        return f"{name}.{added}" if added in ADDED else name
    if stage in ("reducers", "projections"):
        return f"{rest.partition('.')[0]}.head"
    if stage == "fusion" and rest.startswith(("projectors.", "routers.")):
        return f"fusion.{rest.partition('.')[0]}"
    return {"fusion": "fusion", "outputs": "output"}.get(stage, "score")


def learns(parameter: str, trained: Sequence[str]) -> bool:
    """Whether a stage that teaches these parts teaches the parameter: `text` is all of `text.…`."""
    part = part_of(parameter)
    return any(part == one or part.startswith(f"{one}.") for one in trained)
