"""The host: sizes of the language decoder that every other answer attaches to."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from chiasm.spec.state_space import StateSpace


@dataclass(frozen=True, kw_only=True)
class Host:
    """A stack of blocks of one kind; with nothing but sizes, a decoder of the Llama family.

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
    arrangement: str = "pre"
    """Where a layer norms: pre (Llama), post (BERT), parallel (Cohere: one norm, both halves)."""
    norm: str = "rms"
    """rms, layer, or layer-without-bias (Cohere)."""
    sub_norm: bool = False
    """Norms over what the heads read and over the feed-forward's hidden units (BEiT-3)."""
    gated: bool = True
    """Whether the feed-forward has a gate; without one it is down(act(up(x)))."""
    layer_scale: float | None = None
    """Start of the learned factor of each update's channels; None: no factor."""
    positions: str = "rotary"
    """rotary, learned (a table added to the words), or none."""
    embedding_norm: bool = False
    """A norm over the embeddings as they enter (BERT)."""
    final_norm: bool = True
    rope_interleaved: bool = False
    """Rotary pairs are neighbours (2j, 2j+1), as Cohere stores them, instead of halves."""
    rope_layers: tuple[bool, ...] = ()
    """Which layers turn queries and keys; () means all of them."""
    logit_scale: float = 1.0
    """Factor of a text head's scores."""
    mixer: StateSpace | None = None
    """What stands in attention's place; None: attention. With a mixer, the sizes of attention
    (heads, kv_heads, head_width) are 0, as is `ff_width` where layers have no feed-forward."""
    windows: tuple[int | None, ...] = ()
    """Sliding-window length of each layer, None where a layer sees everything; () means none."""
    head_counts: tuple[int, ...] = ()
    """Heads of each layer where they differ, keys in proportion; () means `heads`."""
    head_widths: tuple[int, ...] = ()
    """Width of the heads of each layer where they differ; () means `head_width`."""
    ff_widths: tuple[int, ...] = ()
    """Width of the feed-forward of each layer where they differ; () means `ff_width`."""
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
        if self.mixer is not None:
            self._check_mixer()
        elif self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly"
            )
        if self.windows and len(self.windows) != self.depth:
            raise ValueError(f"{len(self.windows)} window lengths given for {self.depth} layers")
        if self.rope_layers and len(self.rope_layers) != self.depth:
            raise ValueError(f"{len(self.rope_layers)} rope_layers given for {self.depth} layers")
        for name in ("head_counts", "head_widths", "ff_widths"):
            widths = getattr(self, name)
            if widths and len(widths) != self.depth:
                raise ValueError(f"{len(widths)} {name} given for {self.depth} layers")
        for count in self.head_counts:
            if count < 1 or count * self.kv_heads % self.heads:
                raise ValueError(
                    f"{count} of {self.heads} heads leave no whole number of {self.kv_heads} key "
                    "heads; keep whole groups"
                )
        for name, value, known in (
            ("arrangement", self.arrangement, ("pre", "post", "parallel")),
            ("norm", self.norm, ("rms", "layer", "layer-without-bias")),
            ("positions", self.positions, ("rotary", "learned", "none")),
        ):
            if value not in known:
                raise ValueError(f"no {name} is called {value!r}; choose {', '.join(known)}")

    def _check_mixer(self) -> None:
        if self.heads or self.kv_heads or self.head_width or self.windows:
            raise ValueError(
                f"a host with a mixer has no attention, yet {self.heads} heads, {self.kv_heads} "
                f"key heads of width {self.head_width} and windows {self.windows}; leave them out"
            )
        if self.positions == "rotary":
            raise ValueError("a mixer turns no queries: positions are learned or none, not rotary")

    def at(self, layer: int) -> Self:
        """A host of one number and width of heads and one feed-forward, those of a layer."""
        if not (self.head_counts or self.head_widths or self.ff_widths):
            return self
        heads = self.head_counts[layer] if self.head_counts else self.heads
        return replace(
            self,
            heads=heads,
            kv_heads=heads * self.kv_heads // self.heads if heads else self.kv_heads,
            head_width=self.head_widths[layer] if self.head_widths else self.head_width,
            ff_width=self.ff_widths[layer] if self.ff_widths else self.ff_width,
            head_counts=(),
            head_widths=(),
            ff_widths=(),
        )

    def turns(self, layer: int) -> bool:
        """Whether a layer turns its queries and keys by their positions."""
        return self.positions == "rotary" and (not self.rope_layers or self.rope_layers[layer])

    def window(self, layer: int) -> int | None:
        """The sliding window of a layer, in rows."""
        return self.windows[layer] if self.windows else None
