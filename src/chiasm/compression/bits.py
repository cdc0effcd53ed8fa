"""Codes of 1, 2, 4 or 8 bits, packed along an axis of rows: 8 / b rows a byte."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from chiasm.errors import Misuse

WIDTHS = (1, 2, 4, 8)


def check_bits(bits: int) -> None:
    """Refuse a width that does not divide a byte."""
    if bits not in WIDTHS:
        raise Misuse(f"codes of {bits} bits do not fill a byte; use {', '.join(map(str, WIDTHS))}")


def pack(codes: UInt8[Tensor, "*at row channel"], bits: int) -> UInt8[Tensor, "*at byte channel"]:
    """Row r is in byte r // (8 / b), the lowest bits first; the last byte is filled with zeros."""
    per = 8 // bits
    missing = -codes.shape[-2] % per
    if missing:
        codes = torch.nn.functional.pad(codes, (0, 0, 0, missing))
    pieces = codes.unflatten(-2, (-1, per)).unbind(-2)
    packed = pieces[0].clone()
    for place, piece in enumerate(pieces[1:], 1):
        packed |= piece << (bits * place)
    return packed


def unpack(
    packed: UInt8[Tensor, "*at byte channel"], bits: int
) -> UInt8[Tensor, "*at row channel"]:
    """The codes again, those that fill the last byte included."""
    if bits == 8:
        return packed
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    pieces = packed.unsqueeze(-2) >> shifts.unsqueeze(-1)
    return (pieces & (2**bits - 1)).flatten(-3, -2)
