"""The number format of forward and backward passes; weights and moments stay float32."""

from contextlib import AbstractContextManager, nullcontext

import torch

from chiasm.errors import Misuse

PRECISIONS = ("auto", "fp32", "bf16")


def resolve(precision: str, device: torch.device) -> str:
    """The format to compute in: "auto" is bf16 where a GPU or a CPU's AMX units have it, else fp32.

    Raises Misuse for another name.
    """
    if precision not in PRECISIONS:
        raise Misuse(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and torch.cpu._is_amx_tile_supported() else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context to run a forward pass in."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
