"""Sums in a fixed order, so that a resumed run repeats the uninterrupted one bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On a CPU, no operation adds in whatever order its threads arrive; elsewhere, no change.

    The bits still depend on the number of threads. Torch's settings are put back on leaving.
    """
    if device.type != "cpu":
        yield
        return
    memory: Any = torch.utils.deterministic
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling every new tensor would only help to find reads of uninitialised memory.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        memory.fill_uninitialized_memory = fills
