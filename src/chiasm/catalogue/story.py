"""A system's answers in words: the eight questions, and what differs from the parent."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from rich.markup import escape

from chiasm.spec import Scale, System, differences, registered

QUESTIONS = (
    ("1", "How do raw media become features?", ("views", "pixels", "encoder")),
    ("2", "How do features become tokens of the host?", ("connector",)),
    ("3", "Where do tokens enter?", ("fusion",)),
    ("4", "Who may see whom, and where does a row stand?", ("visibility", "positions")),
    ("5", "Whose weights process a token?", ("experts",)),
    ("6", "What is kept?", ("compression",)),
    ("7", "What comes out?", ("head",)),
    ("8", "What is it taught, and how?", ("teaching",)),
    ("", "The host, and its prompt", ("host", "template")),
)


@dataclass(frozen=True)
class Line:
    """One answer: its question's number and words, its field, its value in words."""

    number: str
    question: str
    name: str
    value: str


def in_words(value: Any) -> str:
    """A frozen answer as it would be written, null and default entries left out."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(in_words(entry) for entry in value) + ")"
    if not is_dataclass(value):
        return f"{value:_}" if isinstance(value, int) and abs(value) > 9999 else repr(value)
    shown = [
        f"{field.name}={in_words(getattr(value, field.name))}"
        for field in fields(value)
        if getattr(value, field.name) != field.default and getattr(value, field.name) != ()
    ]
    return f"{type(value).__name__}({', '.join(shown)})"


def answers_of(of: System, scale: Scale) -> list[Line]:
    """The answers at one scale, in the order of the questions."""
    answers = of.at(scale)
    return [
        Line(number, question, name, in_words(getattr(answers, name)))
        for number, question, names in QUESTIONS
        for name in names
    ]


def changes_of(of: System, scale: Scale) -> list[tuple[str, str, str]]:
    """(answer, parent's value, own value) where they differ; empty without a known parent."""
    parent = registered().get(of.parent or "")
    if parent is None:
        return []
    found = differences(of.at(scale), parent.at(scale))
    return [(name, in_words(old), in_words(new)) for name, (old, new) in found.items()]


def described(
    of: System, scale: Scale, answers: list[Line], changes: list[tuple[str, str, str]]
) -> Iterator[str]:
    """The page of `chiasm show`, as marked-up lines."""
    number = "no catalogue row" if of.no is None else f"no. {of.no}"
    yield f"[bold]{of.slug}[/bold] ({number}), {scale.value} scale"
    yield escape(of.card.paper)
    yield f"[dim]differs:[/dim] {escape(of.card.differs)}"
    yield f"[dim]claims:[/dim]  {escape(of.card.claim)}"
    asked = ""
    for line in answers:
        if line.question != asked:
            yield f"\n[bold]{line.number + '. ' if line.number else ''}{line.question}[/bold]"
            asked = line.question
        yield f"  {line.name}: {escape(line.value)}"
    if of.parent is None:
        yield "\nIt has no parent: its family is measured against it."
    elif changes:
        yield f"\n[bold]Against its parent {of.parent}[/bold]"
        for name, old, new in changes:
            yield f"  {name}: [red]{escape(old)}[/red]"
            yield f"  {' ' * len(name)}  [green]{escape(new)}[/green]"
    else:
        yield f"\nNo answer differs from its parent {of.parent} at this scale."
    yield "\n[bold]Checks[/bold]"
    for check in of.card.checks:
        yield f"  - {escape(check)}"
