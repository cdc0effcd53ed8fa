"""A system: a published method as values, at three scales, with its card."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from chiasm.spec.answers import Answers, Scale


@dataclass(frozen=True, kw_only=True)
class Card:
    """The method card: what the paper claims and what must hold."""

    paper: str
    """Title and arXiv id."""
    differs: str
    """One line: what differs from the parent."""
    claim: str
    """The paper's claim with its setting."""
    checks: tuple[str, ...]
    """Invariants, each a test."""
    story: tuple[str, ...] = ()
    """What is peculiar to it, for `chiasm explain`."""


@dataclass(frozen=True, kw_only=True)
class System:
    """A frozen value: slug, card, and the eight answers at each scale."""

    slug: str
    no: int | None
    """Row of the catalogue; None for a control that no paper proposes."""
    parent: str | None
    """Slug of the system it differs from; only read to print the difference."""
    card: Card
    scales: Mapping[Scale, Answers]

    def at(self, scale: Scale | str) -> Answers:
        """The answers at one scale."""
        return self.scales[Scale(scale)]


def derive(
    base: Mapping[Scale, Answers],
    *,
    every: Mapping[str, Any] | None = None,
    nano: Mapping[str, Any] | None = None,
    smol: Mapping[str, Any] | None = None,
    paper: Mapping[str, Any] | None = None,
) -> dict[Scale, Answers]:
    """`base` with the named answers replaced, at every scale and then at single ones."""
    single = {Scale.NANO: nano, Scale.SMOL: smol, Scale.PAPER: paper}
    return {
        scale: replace(answers, **{**(every or {}), **(single[scale] or {})})
        for scale, answers in base.items()
    }


def differences(child: Answers, parent: Answers) -> dict[str, tuple[Any, Any]]:
    """Answer name to (parent's, child's) value, for the answers that differ."""
    pairs = {
        field.name: (getattr(parent, field.name), getattr(child, field.name))
        for field in fields(Answers)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
