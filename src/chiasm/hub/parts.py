"""Stored tensors that hold several of ours, side by side along their last axis."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chiasm.hub.tensors import Stored

_PART = re.compile(r"(.+)\[(\d+)/(\d+)\]")


def part(name: str, at: int, of: int) -> str:
    """How `Names` speak of the part `at` of `of` equal parts of a stored tensor."""
    return f"{name}[{at}/{of}]"


def split(found: Mapping[str, Stored], wanted: Iterable[str]) -> dict[str, Stored]:
    """`found` with each tensor that is wanted in parts replaced by them."""
    held = dict(found)
    for name in wanted:
        match = _PART.fullmatch(name)
        if match is None or match[1] not in found:
            continue
        held.pop(match[1], None)
        whole, at, of = found[match[1]], int(match[2]), int(match[3])
        shape = (*whole.shape[:-1], whole.shape[-1] // of) if whole.shape else whole.shape
        held[name] = Stored(_Part(whole, at, of), whole.key, shape, whole.dtype)
    return held


def joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` with parts put together to the tensors that are stored."""
    whole: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        match = _PART.fullmatch(name)
        if match is None:
            whole[name] = tensor
        else:
            parts.setdefault(match[1], {})[int(match[2])] = tensor
    for name, held in parts.items():
        whole[name] = torch.cat([held[at] for at in sorted(held)], dim=-1)
    return whole


@dataclass(frozen=True)
class _Part:
    whole: Stored
    at: int
    of: int

    def get_tensor(self, key: str) -> Tensor:
        return self.whole.read().chunk(self.of, -1)[self.at].contiguous()
