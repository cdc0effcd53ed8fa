"""The eight answers of a system at one scale, and the host they attach to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chiasm.errors import Misuse
from chiasm.spec.answer import (
    Compression,
    Connector,
    Encoder,
    Experts,
    Fusion,
    Head,
    Positions,
)
from chiasm.spec.host import Host
from chiasm.spec.teaching import Teaching
from chiasm.spec.views import Views


class Scale(StrEnum):
    """The three sizes every system states."""

    NANO = "nano"
    SMOL = "smol"
    PAPER = "paper"


def scale_named(name: str) -> Scale:
    """The scale of this name.

    Raises:
        Misuse: there is none; the message names the three.
    """
    if name not in tuple(Scale):
        raise Misuse(f"unknown scale {name!r}; choose {', '.join(Scale)}")
    return Scale(name)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A system at one scale. Every answer is written; a null answer is a value, never a default."""

    views: Views
    """1a. How is an image cut and resized?"""
    pixels: Any
    """1b. How its pixels are resized and normalised (`chiasm.data.pixels.Pixels`)."""
    encoder: Encoder
    """1. How do raw media become features?"""
    connector: Connector
    """2. How do features become tokens of the host?"""
    fusion: Fusion
    """3. Where do tokens enter?"""
    visibility: Any
    """4. Who may see whom?"""
    positions: Positions
    """4b. Where does a row stand?"""
    experts: Experts
    """5. Whose weights process a token?"""
    compression: Compression
    """6. What is kept, at what precision, how deep?"""
    head: Head
    """7. What comes out?"""
    teaching: Teaching
    """8. What is it taught, and how?"""
    host: Host
    template: str
    """Name of the prompt template, stored with every checkpoint."""

    @property
    def shares_media(self) -> bool:
        """Whether questions packed behind an image can share its rows: no row of it, and nothing
        that becomes of it, depends on what follows.
        """
        ahead = self.visibility.sequence.looks_ahead or self.fusion.looks_ahead
        ahead = ahead or self.experts.looks_ahead
        return not ahead and not self.connector.conditioned
