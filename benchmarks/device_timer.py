"""Time and peak memory of a run on a device; the one place that calls CUDA."""

import time
from collections.abc import Callable
from typing import Any

import torch


class Device:
    """A GPU timed by events, or a CPU by its clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cuda = torch.device(name).type == "cuda"

    @property
    def label(self) -> str:
        """What the record calls it."""
        return torch.cuda.get_device_name() if self.cuda else "cpu"

    def timed(self, run: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds of a run, and what it gives."""
        if not self.cuda:
            start = time.perf_counter()
            made = run()
            return time.perf_counter() - start, made
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        first.record()
        made = run()
        last.record()
        torch.cuda.synchronize()
        return first.elapsed_time(last) / 1000, made

    def peak(self, run: Callable[[], Any]) -> int | None:
        """Bytes at the peak of a run, all that is held included; None on a CPU."""
        if not self.cuda:
            run()
            return None
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()

    def empty(self) -> None:
        """Give back what no tensor holds."""
        if self.cuda:
            torch.cuda.empty_cache()
