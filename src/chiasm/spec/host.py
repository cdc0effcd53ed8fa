"""The host: sizes of the language decoder that every other answer attaches to."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Host:
    """A decoder of the Llama family (Llama, SmolLM2, Mistral, Qwen2/2.5, Qwen3).

    `weights` names pretrained parts (an alias or a folder); None means fresh weights.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    kv_heads: int
    ff_width: int
    head_width: int
    norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    rope_scaling: tuple[tuple[str, Any], ...] = ()
    """Entries of a transformers rope description other than "default", e.g. llama3's."""
    rope_sections: tuple[int, ...] = ()
    query_key_value_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    query_key_norm: bool = False
    tied_head: bool = False
    activation: str = "silu"
    windows: tuple[int | None, ...] = ()
    """Sliding-window length of each layer, None where a layer sees everything; () means none."""
    max_positions: int = 4096
    """Longest context, in rows."""
    initial_std: float = 0.02
    """Standard deviation of fresh matrices."""
    embedding_std: float | None = None
    """Standard deviation of fresh word embeddings; None: that of the matrices."""
    weights: str | None = None
    family: str = field(default="llama")
    """The transformers `model_type` whose layout the weights are written in."""

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly"
            )
        if self.windows and len(self.windows) != self.depth:
            raise ValueError(f"{len(self.windows)} window lengths given for {self.depth} layers")

    def window(self, layer: int) -> int | None:
        """The sliding window of a layer, in rows."""
        return self.windows[layer] if self.windows else None
