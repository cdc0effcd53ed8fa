"""A training state on disk: all that an exact resume needs, as safetensors and JSON, atomically.

`states/step-00000120/` appears complete or not at all; older ones are deleted afterwards.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import AdamW

from chiasm.errors import ChiasmError
from chiasm.hub.tensors import check, unique_state, write_tensors
from chiasm.training import optimiser as optimisers
from chiasm.training.generators import generators, set_generators

FOLDER = "states"


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run stands between two steps."""

    step: int
    """Steps done."""
    stage: int
    stage_step: int
    """Steps done in this stage; with the seed, it names the next samples."""
    samples: int
    seconds: float
    progress: float
    threads: int


def save(folder: Path, position: Position, model: nn.Module, chosen: AdamW) -> Path:
    """Write the state of model, optimiser and random generators; returns its folder."""
    states = folder / FOLDER
    states.mkdir(exist_ok=True)
    final = states / f"step-{position.step:08d}"
    partial = states / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    write_tensors(unique_state(model), partial / "model.safetensors")
    write_tensors(optimisers.state_of(chosen, model), partial / "optimiser.safetensors")
    write_tensors(generators(), partial / "random.safetensors")
    (partial / "position.json").write_text(json.dumps(asdict(position), indent=2))
    for path in (*partial.iterdir(), partial):
        _reach_disk(path)
    if final.exists():
        shutil.rmtree(final)
    os.rename(partial, final)
    for other in states.iterdir():
        if other != final:
            shutil.rmtree(other)
    return final


def latest(folder: Path) -> Path | None:
    """The newest complete state of a run; None if it has none."""
    return max((folder / FOLDER).glob("step-*"), default=None)


def position_of(state: Path) -> Position:
    try:
        return Position(**json.loads((state / "position.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(state, error) from None


def restore_weights(state: Path, model: nn.Module) -> None:
    """Put the saved weights and buffers into `model`, exactly.

    Raises ChiasmError naming the first tensor that is missing, unknown or of another shape.
    """
    saved, own = _read(state / "model.safetensors"), unique_state(model)
    check(
        {name: tuple(tensor.shape) for name, tensor in own.items()},
        {name: tuple(tensor.shape) for name, tensor in saved.items()},
        state,
    )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])


def restore_optimiser(state: Path, model: nn.Module, chosen: AdamW) -> None:
    optimisers.restore(chosen, model, _read(state / "optimiser.safetensors"))


def restore_generators(state: Path) -> None:
    """Set torch's generators to where they were."""
    set_generators(_read(state / "random.safetensors"))


def forget(folder: Path) -> None:
    """Delete the states of a run that needs no resume any more."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _reach_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damaged(path: Path, error: Exception) -> ChiasmError:
    return ChiasmError(f"{path}: cannot be read back ({error}); delete the run and start it anew")
