"""An embedder: a published method as values, at three scales, with its card.

What a model answers in eight questions an embedder answers in five stages and what it is taught:
encode, fuse, and for each of its outputs reduce, project and give; then how two embeddings are
compared, and which items meet in a batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chiasm.registry import Registry, check_name
from chiasm.spec.answers import Scale
from chiasm.spec.registry import registered
from chiasm.spec.system import Card
from chiasm.spec.teaching import Teaching


@dataclass(frozen=True, kw_only=True)
class EmbedderAnswers:
    """An embedder at one scale. Every answer is written; a null answer is a value."""

    encode: tuple[Any, ...]
    """What reads which parts of an item (`chiasm.embedders.stages.Tower`)."""
    fuse: Any
    """How what several towers read becomes one."""
    outputs: tuple[Any, ...]
    """What comes out (`chiasm.embedders.stages.Output`); searches read the first."""
    score: Any
    """How a query and a document are compared."""
    teaching: Teaching
    batches: Any
    """Which items meet in a batch (`chiasm.embedders.batches.Batches`)."""


@dataclass(frozen=True, kw_only=True)
class EmbedderSystem:
    """A frozen value: slug, card, and the answers at each scale."""

    slug: str
    no: int | None
    """Row of the catalogue."""
    parent: str | None
    """Slug of the embedder it differs from; only read to print the difference."""
    card: Card
    scales: Mapping[Scale, EmbedderAnswers]

    def at(self, scale: Scale | str) -> EmbedderAnswers:
        """The answers at one scale."""
        return self.scales[Scale(scale)]


_EMBEDDERS: Registry[EmbedderSystem] = Registry(
    "embedder", "chiasm.systems", hint=" (chiasm systems --kind embedder)"
)


def register_embedder(value: EmbedderSystem) -> EmbedderSystem:
    """Enter an embedder; a second one of the same slug is refused."""
    return _EMBEDDERS.enter(value.slug, value)


def registered_embedders() -> dict[str, EmbedderSystem]:
    """All embedders by slug, in alphabetical order."""
    return _EMBEDDERS.every()


def embedder_system(slug: str) -> EmbedderSystem:
    """The embedder of this slug.

    Raises:
        Misuse: no such embedder; the message offers the nearest names.
    """
    return _EMBEDDERS.of(slug)


def check_slug(slug: str) -> None:
    """Refuse a slug that is neither a model's nor an embedder's, with the nearest of both.

    Raises:
        Misuse: there is none.
    """
    check_name(slug, [*registered(), *registered_embedders()], "system", " (chiasm systems)")


def embedder_differences(
    child: EmbedderAnswers, parent: EmbedderAnswers
) -> dict[str, tuple[Any, Any]]:
    """Answer name to (parent's, child's) value, for the answers that differ."""
    pairs = {
        field.name: (getattr(parent, field.name), getattr(child, field.name))
        for field in fields(EmbedderAnswers)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
