"""Turn a fetched package into a folder of safetensors, once.

Only packages pinned in the registry come here, so a pickle's bytes are known before it is opened,
and even then nothing but tensors is allowed out of it.
"""

from pathlib import Path

from chiasm.errors import ChiasmError
from chiasm.weights.registry import Conversion, Package


def convert(package: Package, source: Path, target: Path) -> None:
    """Write the converted form of `source` into the empty folder `target`."""
    match package.conversion:
        case Conversion.GGUF:
            from chiasm.weights.gguf_llama import save_as_transformers

            save_as_transformers(_only_file(package, source), target)
        case Conversion.PICKLE:
            save_pickle_as_safetensors(_only_file(package, source), target / "model.safetensors")
        case Conversion.NONE:
            raise ChiasmError(f"{package.alias} needs no conversion; read its folder as it is")


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
