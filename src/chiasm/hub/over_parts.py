"""Checkpoints of what differs from pretrained parts, read over those.

The folder's answers name the parts (`encoder.weights`, `host.weights`); what they give is read from
there again, and a digest tells whether it is still the same.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.hub.folder import Record
from chiasm.hub.pretrained import from_parts
from chiasm.hub.tensors import Stored, check, unique_state
from chiasm.model import Model


@torch.no_grad()
def over_parts(record: Record, stored: Mapping[str, Stored], source: Path) -> Model:
    """The model of a folder that `save_changes` wrote.

    Raises:
        ChiasmError: a tensor without a place or of another shape; parts that are no longer those.
    """
    model = from_parts(record.answers, seed=0)
    state = unique_state(model)
    places = {name: tuple(state[name].shape) for name in stored if name in state}
    check(places, {name: entry.shape for name, entry in stored.items()}, source)
    for name, entry in stored.items():
        state[name].data = entry.read().to(state[name])
    found = digest((name, tensor) for name, tensor in state.items() if name not in stored)
    if found != record.rest:
        raise ChiasmError(
            f"{source}: was taught on other parts ({record.rest!s:.8}) than are here now "
            f"({found:.8}); fetch those again, or use the whole checkpoint"
        )
    return model


def digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of names and values in float32, whatever their order."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        sha.update(name.encode())
        sha.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return sha.hexdigest()
