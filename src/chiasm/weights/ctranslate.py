"""Tensors out of a CTranslate2 model file, so that other engines can run its parts."""

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chiasm.errors import ChiasmError

VERSION = 6
"""Of the binary format: `ctranslate2.specs.model_spec` writes it."""
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_WHOLE = {"int8", "int16"}
"""Types of weights that stand for others once they are scaled."""


def ctranslate_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """Every tensor whose name begins with `prefix`, by the rest of its name; real ones in float32.

    Only what is asked for is read from the disk. Weights in 8 or 16 bits with scales are refused.

    Raises:
        ChiasmError: no such file, another version, cut off, quantised, or nothing of that name.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            found = {
                name.removeprefix(prefix): _tensor(held, name, kind, shape, start)
                for name, kind, shape, start in _entries(held)
                if name.startswith(prefix)
            }
    except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{path}: no CTranslate2 model ({reason}); fetch it again") from None
    if not found:
        raise ChiasmError(f"{path}: holds no tensor {prefix}*; give another model")
    return found


def _entries(held: mmap.mmap) -> Iterator[tuple[str, int, tuple[int, ...], int]]:
    """Name, type, shape and place of each tensor."""
    version, at = struct.unpack_from("<I", held)[0], 4
    if version != VERSION:
        raise ValueError(f"version {version} of the format, not {VERSION}")
    _, at = _name(held, at)
    _, count = struct.unpack_from("<II", held, at)
    at += 8
    for _ in range(count):
        name, at = _name(held, at)
        rank = held[at] if at < len(held) else 0
        shape = struct.unpack_from(f"<{rank}I", held, at + 1)
        at += 1 + 4 * rank
        kind, size = struct.unpack_from("<BI", held, at)
        at += 5
        if at + size > len(held):
            raise ValueError(f"cut off in {name}")
        yield name, kind, shape, at
        at += size


def _name(held: mmap.mmap, at: int) -> tuple[str, int]:
    """A string with its length before it and a zero behind it, and where the next thing begins."""
    (length,) = struct.unpack_from("<H", held, at)
    end = at + 2 + length
    if end > len(held):
        raise ValueError("cut off in a name")
    return held[at + 2 : end - 1].decode(), end


def _tensor(held: mmap.mmap, name: str, kind: int, shape: tuple[int, ...], start: int) -> Tensor:
    if kind not in _TYPES:
        raise ValueError(f"{name} is of the unknown type {kind}")
    array = np.frombuffer(held, _TYPES[kind], math.prod(shape), start).reshape(shape).copy()
    if array.dtype.name in _WHOLE and shape:
        raise ValueError(f"{name} is quantised to {array.dtype.name}; convert it in float16")
    tensor = torch.from_numpy(array)
    return tensor.float() if tensor.is_floating_point() else tensor
