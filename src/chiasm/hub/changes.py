"""Checkpoints of what differs from pretrained parts: connector, adapters and what else was taught.

The folder's answers name the parts (`encoder.weights`, `host.weights`); what they give is read from
there again, and a digest tells whether it is still the same.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.hub.checkpoint import Checkpoint
from chiasm.hub.folder import OWN, Record, write_beside, write_whole
from chiasm.hub.pretrained import from_parts
from chiasm.hub.tensors import TENSORS, Stored, check, unique_state, write_tensors
from chiasm.model import Model


def save_changes(taught: Checkpoint, folder: Path, extra: Mapping[str, object]) -> Path:
    """Write a checkpoint of the tensors that its parts do not give; `chiasm.load` opens it.

    Raises:
        ChiasmError: its parts give nothing, so that all of it would be written.
    """
    model = taught.model
    state = unique_state(model)
    changed = _changed(model, state)
    if len(changed) == len(state):
        raise ChiasmError(
            f"{taught.folder}: no tensor is as pretrained parts gave it; keep the whole checkpoint"
        )
    rest = digest((name, state[name]) for name in state if name not in changed)
    told = {
        "slug": taught.slug,
        "scale": taught.scale,
        "layout": OWN,
        "extra": dict(extra),
        "rest": rest,
    }

    def write(target: Path) -> None:
        write_tensors({name: state[name] for name in changed}, target / TENSORS)
        write_beside(target, model.answers, taught.tokens, told, taught.tokenizer, taught.template)

    return write_whole(folder, write)


def _changed(model: Model, state: Mapping[str, Tensor]) -> list[str]:
    """Names of what two models on the same parts, drawn from different seeds, do not both give."""
    same = set(state)
    for seed in (0, 1):
        given = unique_state(from_parts(model.answers, seed=seed))
        same = {name for name in same if torch.equal(given[name].to(state[name]), state[name])}
    return [name for name in state if name not in same]


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
