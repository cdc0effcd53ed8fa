"""Folders of vision models alone: transformers' own class, read strictly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chiasm.errors import ChiasmError

CLASSES: Mapping[str, str] = {
    "clip_vision_model": "CLIPVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "dinov2": "Dinov2Model",
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
}
"""Vision towers and pairs of towers, by the config's `model_type`."""


class VisionModel(nn.Module):
    """A vision tower, or a vision and a text tower: keyword inputs and outputs are transformers'.

    `.model` is the transformers module.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Any) -> Any:
        """What transformers' model returns: `.last_hidden_state`, or `.logits_per_image`."""
        return self.model(**inputs)


def open_vision(
    folder: Path, config: Any, *, dtype: torch.dtype | None, allow_pickle: bool
) -> VisionModel:
    """The model of a folder whose `model_type` is in `CLASSES`.

    Raises:
        ChiasmError: a missing, an extra or a misshapen tensor, or a damaged file.
    """
    import transformers

    kind = getattr(transformers, CLASSES[config.model_type])
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # its report of keys is given below, in one line
    try:
        model, told = kind.from_pretrained(
            folder,
            config=config,
            dtype=dtype or "auto",
            local_files_only=True,
            use_safetensors=None if allow_pickle else True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:
        # What a damaged file raises depends on its format; the remedy does not.
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder}: cannot be read as {kind.__name__} ({reason:.160})") from None
    finally:
        transformers.logging.set_verbosity(verbosity)
    for verb, names in (
        ("lacks", told["missing_keys"]),
        ("has no place for", told["unexpected_keys"]),
    ):
        if names:
            raise ChiasmError(
                f"{folder}: {verb} {min(names)} ({len(names)} in all); "
                "the config and the weights are not of one model"
            )
    if told["mismatched_keys"]:
        name, found, expected = min(told["mismatched_keys"])
        raise ChiasmError(
            f"{folder}: {name} is {tuple(found)}, the config says {tuple(expected)}; "
            "the config and the weights are not of one model"
        )
    return VisionModel(model)
