"""Turn a fetched package into a folder of safetensors, once.

Only packages pinned in the registry come here, so a pickle's bytes are known before it is opened,
and even then nothing but tensors is allowed out of it.
"""

import shutil
from pathlib import Path

from chiasm.errors import ChiasmError
from chiasm.weights.package import Conversion, Package


def convert(package: Package, source: Path, target: Path) -> None:
    """Write the converted form of `source` into the empty folder `target`."""
    match package.conversion:
        case Conversion.GGUF:
            from chiasm.weights.gguf_llama import save_as_transformers

            save_as_transformers(_only_file(package, source), target)
        case Conversion.PICKLE:
            save_pickle_as_safetensors(_only_file(package, source), target / "model.safetensors")
        case Conversion.JOIN:
            join_parts(source, target)
        case Conversion.NONE:
            raise ChiasmError(f"{package.alias} needs no conversion; read its folder as it is")


def join_parts(source: Path, target: Path) -> None:
    """Write `NAME` from `NAME.part1`, `NAME.part2` and so on, and copies of all other files."""
    for path in sorted(path for path in source.iterdir() if not path.name.startswith(".")):
        stem, dot, number = path.name.rpartition(".part")
        if not dot:
            shutil.copy(path, target / path.name)
        elif number == "1":
            with (target / stem).open("wb") as whole:
                for part in range(1, 1 + len(list(source.glob(f"{stem}.part*")))):
                    with (source / f"{stem}.part{part}").open("rb") as piece:
                        shutil.copyfileobj(piece, whole, 1 << 20)


def save_pickle_as_safetensors(pickle_file: Path, target: Path) -> None:
    """Copy a state dict from `pickle_file` to `target`, names and values unchanged."""
    import pickle

    import torch
    from safetensors.torch import save_file

    try:
        state = torch.load(pickle_file, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ChiasmError(
            f"{pickle_file.name} is not a pickle of plain tensors: {reason}"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ChiasmError(
            f"{pickle_file.name} is not a state dict of tensors; nothing was converted"
        )
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, target)


def _only_file(package: Package, source: Path) -> Path:
    (file,) = package.files
    return source / file.path
