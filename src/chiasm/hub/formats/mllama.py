"""MllamaForConditionalGeneration (Llama 3.2 Vision, arXiv 2407.21783): cross-attention layers.

The text side is chiasm's own; the vision tower is transformers' module.
"""

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

from chiasm.connectors import Linear
from chiasm.data.pixels import CLIP
from chiasm.encoders import TiledVision
from chiasm.errors import ChiasmError
from chiasm.fusion import CrossLayers
from chiasm.heads import TextHead
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import Family, config_of, host_of
from chiasm.hub.names import Names
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed
from chiasm.visibility import Causal, NamedElseEverything, Sight

_UNSAID = 8
"""Words that are embedded and never scored, the image token the first of them."""
_HOST = Family("MllamaTextConfig", "", "", lambda config: {}, lambda host: {})


def _own(text: Any) -> list[int]:
    """The layers that attend to the sequence; the others read the images."""
    crossing = set(text.cross_attention_layers)
    return [layer for layer in range(text.num_hidden_layers) if layer not in crossing]


def _crossing(text: Any) -> dict[int, tuple[int, int]]:
    """By layer that reads the images: the own layer that it precedes, and which of those it is."""
    own, found, seen = set(_own(text)), dict[int, tuple[int, int]](), Counter[int]()
    for layer in (layer for layer in range(text.num_hidden_layers) if layer not in own):
        before = sum(at < layer for at in own)
        found[layer] = before, seen[before]
        seen[before] += 1
    return found


def _read(config: Any) -> Answers:
    text, vision = config.text_config, config.vision_config
    states = vision.hidden_size * (1 + len(vision.intermediate_layers_indices))
    head_width = text.hidden_size // text.num_attention_heads
    for name, value, wrong in (
        ("dropout", text.dropout, bool(text.dropout)),
        ("hidden_size", text.hidden_size, text.hidden_size % (2 * text.num_attention_heads)),
        ("head_dim", getattr(text, "head_dim", None), _other(text, "head_dim", head_width)),
        ("cross_attention_layers", text.cross_attention_layers, not _own(text)),
        ("vision_output_dim", vision.vision_output_dim, vision.vision_output_dim != states),
        ("image_size", vision.image_size, len(set(pair(vision.image_size))) > 1),
    ):
        if wrong:
            raise ChiasmError(
                f"the config's {name} = {value!r} is not supported for 'mllama' of "
                f"{text.num_hidden_layers} layers, {text.num_attention_heads} heads and vision "
                f"states of {states}"
            )
    host = host_of(text, tied_head=False, family=_HOST)
    return Answers(
        **FORMAT.constant,
        views=Fixed(*pair(vision.image_size)),
        pixels=CLIP,
        encoder=TiledVision.from_config(vision),
        connector=Linear(),
        fusion=CrossLayers(before=tuple(before for before, _ in _crossing(text).values())),
        teaching=CONTINUED,
        host=replace(host, vocabulary=text.vocab_size + _UNSAID, depth=len(_own(text))),
        template="chatml",
    )


def _other(text: Any, name: str, value: int) -> bool:
    return (getattr(text, name, None) or value) != value


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import MllamaConfig

    encoder: Any = answers.encoder
    fusion: Any = answers.fusion
    host = answers.host
    if host.tied_head:
        raise ChiasmError("host.tied_head = True has no counterpart in 'mllama'; untie the head")
    layers = [at + number for number, at in enumerate(fusion.before)]
    depth = host.depth + len(layers)
    whole = replace(host, vocabulary=host.vocabulary - _UNSAID, depth=depth)
    text = config_of(whole, family=_HOST, cross_attention_layers=layers, **tokens.entries())
    return MllamaConfig(
        text_config=text.to_dict(),
        vision_config=copy.deepcopy(encoder.config).to_dict(),
        image_token_index=tokens.image_id(),
    )


def _layers(config: Any) -> tuple[tuple[str, int], ...]:
    """Our layers, by their names in the stack, and theirs, in the order of execution."""
    text = config.text_config
    ours = {layer: f"layers.{at}" for at, layer in enumerate(_own(text))}
    ours |= {layer: f"before.{at}.{n}" for layer, (at, n) in _crossing(text).items()}
    return tuple((ours[layer], layer) for layer in sorted(ours))


def _names(config: Any) -> Names:
    text = "language_model.model."
    pairs = (
        ("decoder.embed_tokens.", f"{text}embed_tokens."),
        *((f"decoder.stack.{o}.", f"{text}layers.{t}.") for o, t in _layers(config)),
        ("decoder.norm.", f"{text}norm."),
        ("head.lm_head.", "language_model.lm_head."),
        ("connector.0.", "multi_modal_projector."),
        ("encoder.model.", "vision_model."),
    )
    spellings = (
        ("lm_head.", "language_model.lm_head."),
        ("model.language_model.", text),
        ("model.vision_model.", "vision_model."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        *(
            (f"language_model.{part}.", f"{text}{part}.")
            for part in ("embed_tokens", "layers", "norm")
        ),
    )
    return Names(pairs, spellings)


FORMAT = Format(
    classes={"mllama": ("MllamaForConditionalGeneration", "MllamaModel")},
    encoders=(TiledVision,),
    connectors=(Linear,),
    constant={
        **PLAIN,
        "visibility": Sight(sequence=Causal(), memory=NamedElseEverything()),
        "head": TextHead(unsaid=_UNSAID),
    },
    read=_read,
    write=_write,
    preprocessing=preprocessing.squashed,
    names=_names,
    headless_names=_names,
    example=examples.in_tiles,
    connector="model.multi_modal_projector",
    layers=_layers,
)
