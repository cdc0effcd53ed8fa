"""Open a checkpoint: an alias, a folder or a hub id; whole, or over the parts that it names."""

from pathlib import Path

import torch
from torch import nn

from chiasm.errors import ChiasmError
from chiasm.hub.folder import FILE, read_record, without_source
from chiasm.hub.formats import format_of, opened
from chiasm.hub.module import KeywordModel
from chiasm.hub.over_parts import over_parts
from chiasm.hub.readers import READERS
from chiasm.hub.tensors import stored_tensors
from chiasm.hub.vision import CLASSES
from chiasm.hub.whole import open_recorded, open_whole, read_config
from chiasm.spec import Answers
from chiasm.weights import resolve


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
    if not (folder / FILE).is_file():
        return open_whole(folder, dtype, allow_pickle).to(device).eval()
    record = read_record(folder)
    if record.rest is None:
        return open_recorded(record, folder, dtype, allow_pickle).to(device).eval()
    model = over_parts(record, stored_tensors(folder, allow_pickle=allow_pickle), folder)
    return KeywordModel(model.to(dtype or torch.float32), record.tokens).to(device).eval()


def answers_of(name: str | Path) -> Answers:
    """The answers of a checkpoint that `load` opens; its weights are neither read nor needed.

    Raises:
        Misuse: no such alias, folder or hub id.
        ChiasmError: no checkpoint, or one of a model that has no decoder.
    """
    folder = resolve(str(name))
    if (folder / FILE).is_file():
        return without_source(read_record(folder).answers)
    config = read_config(folder)
    if config.model_type in CLASSES or config.model_type in READERS:
        raise ChiasmError(f"{folder}: a {config.model_type!r} has no decoder that answers")
    answers, _ = opened(config)
    return without_source(format_of(config).preprocessing(answers, folder))
