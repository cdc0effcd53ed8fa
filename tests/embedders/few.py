"""A handful of pairs, every registered embedder on them, and what its tests begin with."""

import functools
from typing import Any

import pytest
import torch

from chiasm import data
from chiasm.embedders.building import BuiltEmbedder, build, prepare
from chiasm.embedders.model import learns
from chiasm.embedders.pairs import CaptionedPicture
from chiasm.embedders.teaching import Taken, Teacher, round_losses
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, EmbedderSystem, registered_embedders
from chiasm.training import Budget

COUNT, MOST = 5, 23
GROUPS = 3


def few(count: int = COUNT) -> tuple[CaptionedPicture, ...]:
    """Drawings, each with its caption and the words of it in another order."""
    return _pairs()[:count]


@functools.cache
def _pairs() -> tuple[CaptionedPicture, ...]:
    found = []
    for number, example in enumerate(data.load("scenes-captions", "test")[:MOST]):
        text = example.turns[0].answer
        concept = f"kind {number % GROUPS}"
        texts = (text, " ".join(reversed(text.split())), text.split(",")[0])
        found.append(CaptionedPicture(example.id, concept, example.images[0], texts))
    return tuple(found)


def texts() -> list[str]:
    return [text for pair in few(MOST) for text in pair.texts]


def fresh(answers: EmbedderAnswers, seed: int = 0) -> BuiltEmbedder:
    """An embedder before its first step."""
    return prepare(answers, texts(), seed)


def nano(slug: str, seed: int = 0) -> BuiltEmbedder:
    return fresh(registered_embedders()[slug].at(Scale.NANO), seed)


@functools.cache
def shared(slug: str) -> BuiltEmbedder:
    """One embedder for tests that only read it, moved off its start so that no part is zero."""
    embedder = nano(slug)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in embedder.model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    embedder.model.eval()
    return embedder


def every() -> list[Any]:
    """The slug of every registered embedder; a passing law is evidence for it."""
    return [
        pytest.param(slug, id=slug, marks=[pytest.mark.evidence(slug=slug, grade="lawful")])
        for slug in registered_embedders()
    ]


def embedder_or_skip(slug: str) -> EmbedderSystem:
    """The embedder of this slug; the module is skipped where its file is absent."""
    if slug not in registered_embedders():
        pytest.skip(f"{slug} is not installed", allow_module_level=True)
    return registered_embedders()[slug]


def teacher(embedder: BuiltEmbedder, out: Any, count: int = COUNT) -> Teacher:
    return Teacher(embedder=embedder, pairs=few(count), budget=Budget(samples=count), out=out)


def taken(embedder: BuiltEmbedder, out: Any, stage: int = 0) -> Taken:
    """The first batch of a stage, without mined negatives."""
    own = teacher(embedder, out)
    return next(own._batches(stage, embedder.model.answers.teaching.stages[stage], 0, None))


def losses(embedder: BuiltEmbedder, batch: Taken) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return round_losses(embedder, batch)


def total(embedder: BuiltEmbedder, batch: Taken) -> torch.Tensor:
    return torch.stack([*losses(embedder, batch).values()]).sum()


@functools.cache
def shapes(slug: str, scale: Scale | str) -> dict[str, int]:
    """Every parameter's size, by name, without allocating one."""
    model = build(registered_embedders()[slug], scale, device="meta")
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def parameters(slug: str, scale: Scale | str, part: str = "") -> int:
    """Of the whole module, or of a part."""
    return sum(n for name, n in shapes(slug, scale).items() if not part or learns(name, (part,)))


def card(slug: str) -> Any:
    """A test of one embedder's card: evidence for it, skipped where its file is absent."""

    def marked(test: Any) -> Any:
        absent = pytest.mark.skipif(slug not in registered_embedders(), reason=f"no {slug}")
        return pytest.mark.evidence(slug=slug, grade="lawful")(absent(test))

    return marked
