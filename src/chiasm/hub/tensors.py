"""The tensors of a folder, shapes first: nothing is read before every name and shape agrees."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.hub.names import DERIVED, Names

TENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
INDEX = f"{TENSORS}.index.json"


@dataclass(frozen=True)
class Stored:
    """One tensor of a file: its shape is known, its values are read on demand."""

    source: Any
    key: str
    shape: tuple[int, ...]
    dtype: str

    def read(self) -> Tensor:
        return self.source.get_tensor(self.key)


class _Pickle:
    """Tensors of a pickle that the caller chose to trust; code in it is still not run."""

    def __init__(self, path: Path) -> None:
        self.state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)

    def get_tensor(self, key: str) -> Tensor:
        return self.state[key]


def stored_tensors(folder: Path, *, allow_pickle: bool = False) -> dict[str, Stored]:
    """Every tensor of a folder's weights by its name there; several shards are read as one.

    Raises:
        ChiasmError: no weights, a missing shard, a damaged file, a tensor listed twice.
    """
    for name in (TENSORS, PICKLE) if allow_pickle else (TENSORS,):
        files = _shards(folder, name)
        if files:
            found: dict[str, Stored] = {}
            for path in files:
                for key, stored in _open(path):
                    if key in found:
                        raise ChiasmError(f"{path}: holds {key} a second time; export it again")
                    found[key] = stored
            return found
    raise ChiasmError(f"{folder}: has no {TENSORS} (nor its index); point at a checkpoint folder")


def _shards(folder: Path, name: str) -> list[Path]:
    index = folder / f"{name}.index.json"
    if not index.is_file():
        return [folder / name] if (folder / name).is_file() else []
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ChiasmError(f"{index}: not an index of tensors ({error}); fetch it again") from None
    for file in files:
        if Path(file).name != file or not (folder / file).is_file():
            raise ChiasmError(
                f"{index}: names {file!r}, which is not in the folder; fetch it again"
            )
    return [folder / file for file in files]


def _open(path: Path) -> Iterator[tuple[str, Stored]]:
    try:
        if path.suffix == ".bin":
            source: Any = _Pickle(path)
            for key, tensor in source.state.items():
                kind = str(tensor.dtype).removeprefix("torch.")
                yield key, Stored(source, key, tuple(tensor.shape), kind)
            return
        source = safe_open(path, framework="pt")
        for key in source.keys():  # noqa: SIM118 - not a mapping
            part = source.get_slice(key)
            yield key, Stored(source, key, tuple(part.get_shape()), part.get_dtype())
    except (SafetensorError, OSError, RuntimeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(
            f"{path}: not readable as tensors ({reason:.120}); fetch it again"
        ) from None
    except Exception as error:
        # A pickle fails in as many ways as there are opcodes; all have this one remedy.
        raise ChiasmError(
            f"{path}: not a pickle of plain tensors ({type(error).__name__})"
        ) from None


def unique_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's persistent tensors, tied ones once, under their first name."""
    seen: set[int] = set()
    state: dict[str, Tensor] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            state[name] = tensor
    return state


def agree(
    module: nn.Module, stored: Mapping[str, Stored], names: Names, source: Path
) -> dict[str, tuple[Tensor, Stored]]:
    """(place, stored tensor) of every tensor of the module, by its name in the checkpoint.

    A module on the meta device will do: only names and shapes are looked at.

    Raises:
        ChiasmError: a missing tensor, one without a place, another shape.
    """
    state = unique_state(module)
    places = {names.theirs(name): tensor for name, tensor in state.items()}
    twins = {names.theirs(name) for name in module.state_dict() if name not in state}
    found = {names.spelt(key): entry for key, entry in stored.items() if not key.endswith(DERIVED)}
    kept = {name: entry for name, entry in found.items() if name in places or name not in twins}
    check(
        {name: tuple(tensor.shape) for name, tensor in places.items()},
        {name: entry.shape for name, entry in kept.items()},
        source,
    )
    return {name: (tensor, kept[name]) for name, tensor in places.items()}


@torch.no_grad()
def fill(module: nn.Module, stored: Mapping[str, Stored], names: Names, source: Path) -> None:
    """Fill the module with the stored tensors, in the module's dtype.

    A tied tensor may be stored under each of its names if the copies are equal.

    Raises:
        ChiasmError: as `agree`, before anything is filled; tied copies that differ.
    """
    for tensor, entry in agree(module, stored, names, source).values():
        # The file's own pages become the tensor where the type agrees: nothing is copied.
        tensor.data = entry.read().to(tensor.dtype)
    first, whole = unique_state(module), module.state_dict(keep_vars=True)
    twins = {names.theirs(name): whole[name] for name in whole.keys() - first.keys()}
    for key, entry in stored.items():
        tied = twins.get(names.spelt(key))
        if tied is not None and not torch.equal(entry.read().to(tied.dtype), tied):
            raise ChiasmError(
                f"{source}: {key} differs from the tensor that its config ties it to; "
                "set tie_word_embeddings to false in config.json"
            )


def check(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: Path
) -> None:
    """Raise, in one line, what a checkpoint lacks, has too many, or has in another shape."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        said = [
            f"{verb} {', '.join(names[:2])}" + (f" and {len(names) - 2} more" * (len(names) > 2))
            for verb, names in (("lacks", missing), ("has no place for", extra))
            if names
        ]
        raise ChiasmError(
            f"{source}: {'; it '.join(said)} ({len(found)} tensors found, {len(expected)} "
            "expected); the config and the weights are not of one model"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise ChiasmError(
                f"{source}: {name} is {found[name]}, the config says {shape}; "
                "the config and the weights are not of one model"
            )


def write_tensors(state: Mapping[str, Tensor], path: Path) -> None:
    """Save tensors under their names; views are made whole."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(whole, path, metadata={"format": "pt"})
