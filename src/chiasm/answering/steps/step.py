"""The interface of a step."""

from typing import ClassVar, Protocol

from chiasm.answering.desk import Desk


class Step(Protocol):
    """A frozen value. What it reads is on the desk, and what it finds goes into the trace."""

    name: ClassVar[str]
    """As people know it; every call in the trace bears it."""

    def run(self, desk: Desk) -> None: ...
