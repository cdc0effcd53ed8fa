"""What a folder without a language model is read into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from chiasm.hub.names import Names
from chiasm.hub.tensors import Stored


@dataclass(frozen=True)
class Plan:
    """How the module is made, and what its tensors are called in the folder."""

    make: Callable[[], nn.Module]
    """Makes the module anew; called on the meta device first, to compare names and shapes."""
    names: Names


Reader = Callable[[Any, Mapping[str, Stored]], Plan]
"""(transformers config, the folder's tensors) to the plan; ChiasmError for what is not read."""
