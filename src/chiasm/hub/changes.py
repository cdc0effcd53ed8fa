"""Checkpoints of what differs from pretrained parts: connector, adapters and what else was taught.

`over_parts` reads them again.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.hub.checkpoint import Checkpoint
from chiasm.hub.folder import OWN, write_beside, write_whole
from chiasm.hub.over_parts import digest
from chiasm.hub.pretrained import from_parts
from chiasm.hub.tensors import TENSORS, unique_state, write_tensors
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
