"""Open a folder that holds all of a model, in chiasm's format or in transformers'."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from chiasm.assemble import build
from chiasm.errors import ChiasmError
from chiasm.hub.folder import (
    CONFIG,
    FILE,
    GENERATION,
    IDENTITY,
    TRANSFORMERS,
    Record,
    read_record,
    without_source,
)
from chiasm.hub.formats import format_of, opened
from chiasm.hub.module import KeywordModel
from chiasm.hub.names import Names
from chiasm.hub.parts import split
from chiasm.hub.readers import READERS
from chiasm.hub.tensors import Stored, agree, fill, stored_tensors
from chiasm.hub.tokens import SpecialTokens
from chiasm.hub.vision import CLASSES, open_vision
from chiasm.model import Model
from chiasm.spec import Answers

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
}


def open_whole(folder: Path, dtype: torch.dtype | None, allow_pickle: bool) -> nn.Module:
    """The model of a chiasm or transformers folder that holds every tensor of it.

    Raises:
        ChiasmError: a folder that is no checkpoint, or one whose config and tensors disagree.
    """
    if (folder / FILE).is_file():
        return open_recorded(read_record(folder), folder, dtype, allow_pickle)
    config = read_config(folder)
    if config.model_type in CLASSES:
        return open_vision(folder, config, dtype=dtype, allow_pickle=allow_pickle)
    if config.model_type in READERS:
        return _open_reader(folder, config, dtype, allow_pickle)
    answers, names = opened(config)
    answers = format_of(config).preprocessing(answers, folder)
    stored = stored_tensors(folder, allow_pickle=allow_pickle)
    model = _filled(answers, stored, names, folder, dtype or _dtype(config.dtype, stored))
    return KeywordModel(model, _tokens(config, folder))


def read_config(folder: Path) -> Any:
    """The transformers config of a folder; nothing is fetched and no code of it is run.

    Raises:
        ChiasmError: there is none, or it cannot be read.
    """
    from transformers import AutoConfig

    if not (folder / CONFIG).is_file():
        raise ChiasmError(f"{folder}: has no {FILE} or {CONFIG}; point at a checkpoint folder")
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # A config fails in its JSON, its entries' types or its validators, each with its own class.
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder / CONFIG}: not a config that is read ({reason:.160})") from None


def open_recorded(
    record: Record, folder: Path, dtype: torch.dtype | None, allow_pickle: bool
) -> KeywordModel:
    """The model of a chiasm folder that says `record` of itself.

    Raises:
        ChiasmError: it is read over other parts; record and tensors disagree.
    """
    if record.rest is not None:
        raise ChiasmError(
            f"{folder}: holds only what was taught over other parts; name a whole one"
        )
    names = IDENTITY
    if record.layout == TRANSFORMERS:
        _, names = opened(read_config(folder))
    stored = stored_tensors(folder, allow_pickle=allow_pickle)
    model = _filled(record.answers, stored, names, folder, dtype or _dtype(None, stored))
    return KeywordModel(model, record.tokens)


def _open_reader(
    folder: Path, config: Any, dtype: torch.dtype | None, allow_pickle: bool
) -> nn.Module:
    """The module of a format that holds no language model."""
    stored = stored_tensors(folder, allow_pickle=allow_pickle)
    try:
        plan = READERS[config.model_type](config, stored)
        with torch.device("meta"):
            sketch = plan.make()
    except (TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder}: its config makes no model ({reason:.160})") from None
    agree(sketch, stored, plan.names, folder)
    kind = dtype or _dtype(config.dtype, stored)
    with _unfilled(kind):
        module = plan.make()
    module.to(kind)
    fill(module, stored, plan.names, folder)
    return module


def _filled(
    answers: Answers,
    stored: dict[str, Stored],
    names: Names,
    folder: Path,
    dtype: torch.dtype,
) -> Model:
    """The model of the answers, every tensor of it read from `stored`."""
    bare = without_source(answers)
    if bare.host.depth > len(stored):
        raise ChiasmError(
            f"{folder}: {bare.host.depth} layers cannot be filled from {len(stored)} tensors; "
            "the config and the weights are not of one model"
        )
    try:
        sketch = build(bare, device="meta", seed=None)
    except (TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder}: its answers make no model ({reason:.160})") from None
    spelt = {names.spelt(key): entry for key, entry in stored.items()}
    stored = split(spelt, [names.theirs(name) for name in sketch.state_dict()])
    agree(sketch, stored, names, folder)
    with _unfilled(dtype):
        model = build(bare, seed=None)
    model.to(dtype)
    fill(model, stored, names, folder)
    model.answers = answers
    return model


def _tokens(config: Any, folder: Path) -> SpecialTokens:
    """The ids with a meaning; generation_config.json overrides the config, as in transformers."""
    from transformers import GenerationConfig

    text = config.get_text_config()
    told: dict[str, Any] = {}
    if (folder / GENERATION).is_file():
        told = GenerationConfig.from_pretrained(folder, local_files_only=True).to_dict()
    ids = {
        name: told.get(name) if told.get(name) is not None else getattr(text, name, None)
        for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    eos = ids["eos_token_id"]
    return SpecialTokens(
        image=getattr(config, "image_token_id", None),
        bos=ids["bos_token_id"],
        eos=() if eos is None else (eos,) if isinstance(eos, int) else tuple(eos),
        pad=ids["pad_token_id"],
        indicators=tuple(getattr(config, "visual_indicator_token_ids", ())),
    )


def _dtype(said: torch.dtype | None, stored: dict[str, Stored]) -> torch.dtype:
    """The type that the config says, else the one that all floating tensors share."""
    if said is not None:
        return said
    kinds = {_DTYPES[entry.dtype] for entry in stored.values() if entry.dtype in _DTYPES}
    return kinds.pop() if len(kinds) == 1 else torch.float32


class _NoDraws(TorchFunctionMode):
    """Leaves out the random filling of tensors that a checkpoint overwrites."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return (kwargs or {}).get("tensor", args[0] if args else None)
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
