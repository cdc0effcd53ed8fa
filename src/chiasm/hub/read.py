"""Open a checkpoint: an alias, a folder or a hub id, in chiasm's format or in transformers'."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from chiasm.build import build
from chiasm.errors import ChiasmError
from chiasm.hub.layouts import Tokens, opened
from chiasm.hub.module import KeywordModel
from chiasm.hub.names import Names
from chiasm.hub.tensors import Stored, fill, stored_tensors
from chiasm.model import Model
from chiasm.spec import Answers
from chiasm.weights import resolve

CONFIG = "config.json"
_DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
}


def load(
    name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
) -> nn.Module:
    """The model of a chiasm or transformers folder, an alias, or a hub id, ready to run.

    It takes the keyword inputs of transformers' own model and returns such an output. `dtype` is
    the checkpoint's own unless given. Weights are read from safetensors; from a pickle only on
    `allow_pickle`.

    Raises:
        Misuse: no such alias, folder or hub id.
        ChiasmError: a folder that is no checkpoint, or one whose config and tensors disagree.
    """
    folder = resolve(str(name), allow_pickle=allow_pickle)
    if not (folder / CONFIG).is_file():
        raise ChiasmError(f"{folder}: has no {CONFIG}; point at a checkpoint folder")
    config = read_config(folder)
    answers, names = opened(config)
    stored = stored_tensors(folder, allow_pickle=allow_pickle)
    model = filled(answers, stored, names, folder, dtype=dtype or _dtype(config, stored))
    return KeywordModel(model.to(device), tokens_of(config, folder)).eval()


def filled(
    answers: Answers,
    stored: dict[str, Stored],
    names: Names,
    folder: Path,
    *,
    dtype: torch.dtype,
) -> Model:
    """The model of the answers, every tensor of it read from `stored`."""
    with _unfilled(dtype):
        model = build(answers, seed=None)
    model.to(dtype)
    fill(model, stored, names, folder)
    return model


def read_config(folder: Path) -> Any:
    """The transformers config of a folder; nothing is fetched and no code of it is run."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # A config fails in its JSON, its entries' types or its validators, each with its own class.
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder / CONFIG}: not a config that is read ({reason:.160})") from None


def tokens_of(config: Any, folder: Path) -> Tokens:
    """The ids with a meaning; generation_config.json overrides the config, as in transformers."""
    from transformers import GenerationConfig

    text = config.get_text_config()
    told: dict[str, Any] = {}
    if (folder / "generation_config.json").is_file():
        told = GenerationConfig.from_pretrained(folder, local_files_only=True).to_dict()
    ids = {
        name: told.get(name) if told.get(name) is not None else getattr(text, name, None)
        for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    eos = ids["eos_token_id"]
    return Tokens(
        image=getattr(config, "image_token_id", None),
        bos=ids["bos_token_id"],
        eos=() if eos is None else (eos,) if isinstance(eos, int) else tuple(eos),
        pad=ids["pad_token_id"],
    )


def _dtype(config: Any, stored: dict[str, Stored]) -> torch.dtype:
    if isinstance(config.dtype, torch.dtype):
        return config.dtype
    kinds = {_DTYPES.get(entry.dtype, torch.float32) for entry in stored.values()}
    return kinds.pop() if len(kinds) == 1 else torch.float32


class _NoDraws(TorchFunctionMode):
    """Leaves out the random filling of tensors that a checkpoint overwrites."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            tensor: Tensor = (kwargs or {}).get("tensor", args[0] if args else None)
            return tensor
        return func(*args, **(kwargs or {}))


@contextmanager
def _unfilled(dtype: torch.dtype) -> Iterator[None]:
    """New modules have this dtype and arbitrary values."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with _NoDraws():
            yield
    finally:
        torch.set_default_dtype(before)
