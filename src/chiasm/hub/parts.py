"""Stored tensors that hold several of ours, or of which several make one of ours."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chiasm.hub.tensors import Stored

_ROWS = re.compile(r"(.+)\+(.+)\[:(\d+)\]")
_PART = re.compile(r"(.+)\[(\d+)/(\d+)\]")


def part(name: str, at: int, of: int) -> str:
    """How `Names` speak of the part `at` of `of` equal parts of a stored tensor."""
    return f"{name}[{at}/{of}]"


def rows(first: str, second: str, count: int) -> str:
    """How `Names` speak of one tensor whose first `count` rows are stored apart from the others."""
    return f"{first}+{second}[:{count}]"


def split(found: Mapping[str, Stored], wanted: Iterable[str]) -> dict[str, Stored]:
    """`found` with tensors that are wanted in parts, or as a part, replaced by what is wanted."""
    held = dict(found)
    for name in wanted:
        both = _ROWS.fullmatch(name)
        if both is not None and both[1] in found and both[2] in found:
            pair = found[both[1]], found[both[2]]
            for part_name in both.group(1, 2):
                held.pop(part_name, None)
            shape = (pair[0].shape[0] + pair[1].shape[0], *pair[0].shape[1:])
            held[name] = Stored(_Both(*pair), name, shape, pair[0].dtype)
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
        both, match = _ROWS.fullmatch(name), _PART.fullmatch(name)
        if both is not None:
            whole[both[1]], whole[both[2]] = tensor.tensor_split([int(both[3])])
        elif match is None:
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


@dataclass(frozen=True)
class _Both:
    first: Stored
    second: Stored

    def get_tensor(self, key: str) -> Tensor:
        return torch.cat([self.first.read(), self.second.read()])
