"""Perceiver's folders: bare, with words or with pixels in front, with a classifier behind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.models.perceiver.modeling_perceiver import PerceiverModelOutput

from chiasm.encoders import LatentStack, Perceiver
from chiasm.encoders.perceiver import byte_array
from chiasm.errors import ChiasmError
from chiasm.hub.names import Names
from chiasm.hub.readers.plan import Plan
from chiasm.hub.tensors import Stored
from chiasm.stream import Permission

_CLASSIFIER = "PerceiverForImageClassificationFourier"
_WIDTH = "encoder.cross_attention.attention.self.layernorm2.weight"
"""A tensor that is as wide as what the latents read."""
_READ = (
    ("norm_latents.", "attention.self.layernorm1."),
    ("norm_array.", "attention.self.layernorm2."),
    ("query.", "attention.self.query."),
    ("key.", "attention.self.key."),
    ("value.", "attention.self.value."),
    ("output.", "attention.output.dense."),
    ("norm.", "layernorm."),
    ("expand.", "mlp.dense1."),
    ("contract.", "mlp.dense2."),
)
"""Our names inside one attention, and theirs."""


def perceiver(config: Any, stored: Mapping[str, Stored]) -> Plan:
    """`PerceiverModel` (bare, or with words in front) and the Fourier image classifier.

    Raises:
        ChiasmError: another head or another preprocessor than these.
    """
    given = (config.architectures or ["PerceiverModel"])[0]
    if given not in ("PerceiverModel", _CLASSIFIER):
        raise ChiasmError(f"{given!r} is not read; known: PerceiverModel, {_CLASSIFIER}")
    prefix = "perceiver." if given == _CLASSIFIER else ""
    if prefix + _WIDTH not in stored:
        raise ChiasmError(f"a folder of {given} lacks {prefix + _WIDTH}; fetch or export it again")
    width, stack = stored[prefix + _WIDTH].shape[0], stack_of(config)
    words = f"{prefix}input_preprocessor.embeddings.weight" in stored
    classes = config.num_labels if given == _CLASSIFIER else None

    def make() -> nn.Module:
        words_of = (config.vocab_size, config.max_position_embeddings) if words else None
        return PerceiverFolder(stack, width, words=words_of, classes=classes)

    def example(generator: torch.Generator) -> dict[str, Tensor]:
        if classes is not None:
            return {"pixel_values": torch.randn(1, 3, 224, 224, generator=generator)}
        return {"inputs": torch.randn(2, 11, width, generator=generator)}

    encoder = f"{prefix}encoder."
    stages = [("read", "stack.reads.0", f"{encoder}cross_attention")]
    for at in range(stack.depth):
        stages.append((f"layers.{at}", f"stack.block.{at}", f"{encoder}self_attends.{at}"))
    # transformers' class does not open words in front by itself.
    return Plan(make, _names(prefix, stack.depth), None if words else example, tuple(stages))


def stack_of(config: Any) -> LatentStack:
    """The latents of a transformers config: one read, then runs of one shared block."""
    by_query = config.cross_attention_shape_for_attention == "q"
    return LatentStack(
        latents=config.num_latents,
        width=config.d_latents,
        depth=config.num_self_attends_per_block,
        repeats=config.num_blocks,
        heads=config.num_self_attention_heads,
        cross_heads=config.num_cross_attention_heads,
        ff_multiple=config.self_attention_widening_factor,
        cross_ff_multiple=config.cross_attention_widening_factor,
        key_width=config.qk_channels,
        value_width=config.v_channels,
        cross_key_width=config.qk_channels or (config.d_latents if by_query else None),
        cross_value_width=config.v_channels,
        cross_residual=bool(config.use_query_residual),
        activation=config.hidden_act,
    )


def _names(prefix: str, depth: int) -> Names:
    decoder = f"{prefix}decoder.decoder."
    attentions = [
        ("stack.reads.0.", f"{prefix}encoder.cross_attention."),
        *((f"stack.block.{i}.", f"{prefix}encoder.self_attends.{i}.") for i in range(depth)),
        ("classifier.read.", f"{decoder}decoding_cross_attention."),
    ]
    return Names(
        (
            ("stack.latents", f"{prefix}embeddings.latents"),
            *((ours + a, theirs + b) for ours, theirs in attentions for a, b in _READ),
            ("words.", f"{prefix}input_preprocessor.embeddings."),
            ("places.", f"{prefix}input_preprocessor.position_embeddings."),
            ("classifier.asked", f"{decoder}output_position_encodings.position_embeddings"),
            ("classifier.scores.", f"{decoder}final_layer."),
        )
    )


class Classifier(nn.Module):
    """One learned query reads the latents; a linear map scores the classes."""

    def __init__(self, stack: LatentStack, classes: int) -> None:
        super().__init__()
        sizes = replace(
            stack, cross_key_width=None, cross_value_width=None, cross_heads=1, cross_ff_multiple=1
        ).read_sizes(stack.width)
        self.asked = nn.Parameter(torch.empty(1, stack.width))
        self.read = sizes.build(stack.activation, separate=True)
        self.scores = nn.Linear(stack.width, classes)

    def forward(
        self, latents: Float[Tensor, "batch latent width"]
    ) -> Float[Tensor, "batch class_"]:
        asked = self.asked.expand(len(latents), -1, -1)
        return self.scores(self.read(asked, latents, Permission())[:, 0])


class PerceiverFolder(nn.Module):
    """Called like transformers' model of the same folder; `.stack` holds the latents."""

    def __init__(
        self,
        stack: LatentStack,
        width: int,
        *,
        words: tuple[int, int] | None,
        classes: int | None,
    ) -> None:
        super().__init__()
        self.width = width
        # As the published classifiers: 64 bands at 224 pixels, which no config states.
        self.pixels = Perceiver(stack=stack)
        self.stack = stack.build(width)
        if words is not None:
            self.words, self.places = (nn.Embedding(count, width) for count in words)
        self.reads_words = words is not None
        self.classifier = None if classes is None else Classifier(stack, classes)

    def forward(
        self,
        inputs: Tensor | None = None,
        attention_mask: Bool[Tensor, "batch element"] | None = None,
        pixel_values: Float[Tensor, "batch 3 height width"] | None = None,
    ) -> PerceiverModelOutput:
        """`.last_hidden_state` of the latents, and the classes' `.logits` where there are any.

        `inputs` are ids, pixels `[batch, 3, height, width]`, or elements as the latents read them;
        elements whose mask is 0 are not read.

        Raises:
            ChiasmError: inputs of another kind or width, naming both widths.
        """
        given = inputs if pixel_values is None else pixel_values
        if given is None or (inputs is not None and pixel_values is not None):
            raise ChiasmError("give inputs or pixel_values, one of the two")
        elements = self._elements(given)
        latents = self.stack(elements, None if attention_mask is None else attention_mask.bool())
        logits = None if self.classifier is None else self.classifier(latents)
        # transformers annotates the fields with a narrower tensor class.
        return PerceiverModelOutput(logits=logits, last_hidden_state=latents)  # type: ignore[arg-type]

    def _elements(self, given: Tensor) -> Float[Tensor, "batch element width"]:
        if self.reads_words:
            return self.words(given) + self.places.weight[: given.shape[1]]
        if given.dim() == 4:
            if self.pixels.element_width != self.width:
                raise ChiasmError(
                    f"pixels become elements of {self.pixels.element_width} numbers, this folder "
                    f"reads {self.width}; give the preprocessed [batch, element, {self.width}]"
                )
            return byte_array(given, self.pixels)
        if given.shape[-1] != self.width:
            raise ChiasmError(
                f"inputs are {given.shape[-1]} wide, the latents read elements of {self.width}"
            )
        return given
