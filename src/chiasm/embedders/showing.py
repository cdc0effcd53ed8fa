"""An embedder's answers in words: its stages, its parameters, and what differs from its parent."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape

from chiasm.catalogue.story import in_words
from chiasm.embedders.building import build
from chiasm.embedders.model import part_of
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderSystem, embedder_differences, registered_embedders

QUESTIONS = (
    ("What reads which parts of an item?", "encode"),
    ("How does what several towers read become one?", "fuse"),
    ("What comes out?", "outputs"),
    ("How are a query and a document compared?", "score"),
    ("What is it taught, and how?", "teaching"),
    ("Which items meet in a batch?", "batches"),
)


def parameters(of: EmbedderSystem, scale: Scale) -> dict[str, int]:
    """Of every part, counted without allocating any."""
    found: dict[str, int] = {}
    for name, parameter in build(of, scale, device="meta").named_parameters():
        part = part_of(name)
        found[part] = found.get(part, 0) + parameter.numel()
    return found


def changes_of(of: EmbedderSystem, scale: Scale) -> list[tuple[str, str, str]]:
    """(answer, parent's value, own value) where they differ; empty without a known parent."""
    parent = registered_embedders().get(of.parent or "")
    if parent is None:
        return []
    found = embedder_differences(of.at(scale), parent.at(scale))
    return [(name, in_words(old), in_words(new)) for name, (old, new) in found.items()]


def as_record(of: EmbedderSystem, scale: Scale) -> dict[str, Any]:
    """What `chiasm show --json` prints."""
    answers = of.at(scale)
    return {
        "slug": of.slug,
        "no": of.no,
        "parent": of.parent,
        "scale": scale.value,
        "paper": of.card.paper,
        "claim": of.card.claim,
        "checks": list(of.card.checks),
        "parameters": parameters(of, scale),
        "answers": {name: in_words(getattr(answers, name)) for _, name in QUESTIONS},
        "differences": {
            name: {"parent": old, "here": new} for name, old, new in changes_of(of, scale)
        },
    }


def described_embedder(of: EmbedderSystem, scale: Scale) -> Iterator[str]:
    """The page of `chiasm show`, as marked-up lines."""
    yield f"[bold]{of.slug}[/bold] (no. {of.no}), an embedder, {scale.value} scale"
    yield escape(of.card.paper)
    yield f"[dim]differs:[/dim] {escape(of.card.differs)}"
    yield f"[dim]claims:[/dim]  {escape(of.card.claim)}"
    for question, name in QUESTIONS:
        yield f"\n[bold]{question}[/bold]"
        yield f"  {name}: {escape(in_words(getattr(of.at(scale), name)))}"
    counted = parameters(of, scale)
    yield f"\n[bold]Parameters[/bold] {sum(counted.values()):,}"
    yield from (f"  {part}: {number:,}" for part, number in counted.items())
    if changes := changes_of(of, scale):
        yield f"\n[bold]Against its parent {of.parent}[/bold]"
        yield f"  {', '.join(name for name, _, _ in changes)} differ"
    yield "\n[bold]Checks[/bold]"
    yield from (f"  - {escape(check)}" for check in of.card.checks)
