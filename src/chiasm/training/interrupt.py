"""Ctrl-C and termination requests: finish the step, save, leave."""

import signal
import threading
from types import FrameType
from typing import Any, Self

from chiasm.errors import ChiasmError


class Interrupted(ChiasmError):
    """Training was asked to stop, and has saved its state. Exit code 128 + signal, as shells do."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Interrupt:
    """A context in which SIGINT and SIGTERM are noted instead of obeyed.

    A second signal is obeyed at once. Outside the main thread, where Python allows no handlers,
    nothing is changed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
