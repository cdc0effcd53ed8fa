"""Vision models of transformers: how each family is called, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor

Feed = Callable[[Any, Tensor, Tensor | None], dict[str, Any]]
"""(config, images `[image, 3, height, width]`, valid patches `[image, row, column]` or None) to the
keyword arguments of the model's forward."""


@dataclass(frozen=True, kw_only=True)
class VisionFamily:
    """What differs between the vision models of transformers, apart from their sizes."""

    model_class: str
    config_class: str
    feed: Feed
    prefix: Callable[[Any], int]
    """Class and register tokens before the patches, from the config."""
    feed_forward: Callable[[Any], int]
    """Multiply-adds of one layer's feed-forward for one token, from the config."""
    layers: str = "encoder.layers"
    """Name of the list of layers inside the model."""
    masks_padding: bool = False
    unread: tuple[str, ...] = ()
    """Children whose output is no hidden state: kept, not run."""
    free: frozenset[str] = frozenset()
    """Settings in which a checkpoint may differ without changing what is read."""

    def model(self) -> Any:
        """The model's class; looked up late, as transformers imports each model on demand."""
        return getattr(transformers, self.model_class)

    def config(self) -> Any:
        """The config's class."""
        return getattr(transformers, self.config_class)
