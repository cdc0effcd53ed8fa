"""Multiply-adds that a call really makes, by torch's own count of its operators."""

from collections.abc import Callable
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def operator_macs(run: Callable[[], Any]) -> int:
    """One multiply-add is two of the counter's operations; attention is counted as matrices."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2
