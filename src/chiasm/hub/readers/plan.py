"""What a folder without a language model is read into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.hub.names import Names
from chiasm.hub.tensors import Stored


@dataclass(frozen=True)
class Plan:
    """How the module is made, and what its tensors are called in the folder."""

    make: Callable[[], nn.Module]
    """Makes the module anew; called on the meta device first, to compare names and shapes."""
    names: Names
    example: Callable[[torch.Generator], dict[str, Tensor]] | None = None
    """Random keyword inputs."""
    stages: tuple[tuple[str, str, str], ...] = ()
    """(name, path in the module, path in transformers' class) of what both pass, in order."""


Reader = Callable[[Any, Mapping[str, Stored]], Plan]
"""(transformers config, the folder's tensors) to the plan; ChiasmError for what is not read."""
