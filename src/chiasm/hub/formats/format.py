"""One transformers format: its classes, config to answers, answers to config, tensor names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chiasm.compression import NoCompression
from chiasm.experts import SharedWeights
from chiasm.heads import TextHead
from chiasm.hub.examples import Show
from chiasm.hub.names import Names
from chiasm.hub.tokens import SpecialTokens
from chiasm.objectives import NextToken
from chiasm.positions import Sequential
from chiasm.spec import Answers, Stage, Teaching
from chiasm.visibility import Causal, Everything, Sight

CONTINUED = Teaching(
    objective=NextToken(),
    stages=(
        Stage(
            name="continued",
            trained=("connector", "fusion", "experts", "decoder", "head"),
            learning_rate=2e-5,
        ),
    ),
)
"""How a published checkpoint is taught further: all but the encoder, gently."""

PLAIN: Mapping[str, Any] = {
    "visibility": Sight(sequence=Causal(), memory=Everything()),
    "positions": Sequential(),
    "experts": SharedWeights(),
    "compression": NoCompression(),
    "head": TextHead(),
}
"""The answers of a plain decoder."""


def alike(config: Any) -> Sequence[tuple[str, int]]:
    """Layers of which both engines have the same."""
    depth = config.get_text_config().num_hidden_layers
    return tuple((f"layers.{layer}", layer) for layer in range(depth))


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format; `read` and `write` are each other's inverse on what the format can say."""

    classes: Mapping[str, tuple[str, str]]
    """By the config's `model_type`: the class with a language head and the one without."""
    encoders: tuple[type, ...]
    """Classes of encoders that a model of the format may have."""
    connectors: tuple[type, ...]
    constant: Mapping[str, Any]
    """The answers that every model of the format gives."""
    read: Callable[[Any], Answers]
    """Answers of a transformers config."""
    write: Callable[[Answers, SpecialTokens], Any]
    """The transformers config of answers; ChiasmError for a value it has no setting for."""
    preprocessing: Callable[[Answers, Path], Answers]
    """The answers with the preprocessing that a folder states."""
    names: Callable[[Any], Names]
    headless_names: Callable[[Any], Names]
    example: Show
    """Random images in the form in which the class takes them."""
    experts: tuple[type, ...] = (SharedWeights,)
    """Classes of answers to whose weights process a token."""
    connector: str | None = None
    """Where transformers' class with a head holds its connector."""
    final_norm: str = "norm"
    """Where transformers' decoder holds its last norm."""
    layers: Callable[[Any], Sequence[tuple[str, int]]] = alike
    """Our layers, by their names in the stack, and transformers' numbers of them, in order."""
    opened_by: str = "AutoModelForImageTextToText"
    """The transformers Auto class that opens it."""


def pair(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """Height and width of a config's image size, which may be one number for both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
