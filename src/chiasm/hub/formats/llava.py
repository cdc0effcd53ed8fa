"""LlavaForConditionalGeneration (arXiv 2310.03744): hidden states of a tower through an MLP.

Towers are the vision models of transformers, and Pixtral's (arXiv 2410.07073), at native size.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from chiasm.connectors import MLP
from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.encoders import RotaryViT, TransformersVision
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, pixtral, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import config_of, host_of
from chiasm.hub.names import Names, llava
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed
from chiasm.spec.answer import Encoder
from chiasm.spec.views import Views


def _read(config: Any) -> Answers:
    vision, layers = config.vision_config, config.vision_feature_layer
    taps = (layers,) if isinstance(layers, int) else tuple(layers)
    if vision.model_type == "pixtral":
        if config.vision_feature_select_strategy != "full":
            raise ChiasmError(
                "the config's vision_feature_select_strategy = "
                f"{config.vision_feature_select_strategy!r} would cut a token of a packed batch; "
                "with a 'pixtral' tower use 'full'"
            )
        return _answers(config, pixtral.encoder_of(vision, taps), pixtral.views_of(vision))
    encoder = TransformersVision.from_config(
        vision, taps=taps, drop_first=1 if config.vision_feature_select_strategy == "default" else 0
    )
    return _answers(config, encoder, Fixed(*pair(vision.image_size)))


def _answers(config: Any, encoder: Encoder, views: Views) -> Answers:
    return Answers(
        **FORMAT.constant,
        views=views,
        pixels=_PIXELS.get(config.vision_config.model_type, SIGLIP),
        encoder=encoder,
        connector=MLP(
            activation=config.projector_hidden_act, bias=config.multimodal_projector_bias
        ),
        teaching=CONTINUED,
        host=host_of(config.text_config, tied_head=bool(config.tie_word_embeddings)),
        template="vicuna",
    )


_PIXELS = {"clip_vision_model": CLIP, "pixtral": replace(CLIP, fit="native")}


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import LlavaConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    # Only transformers' own towers hold their config.
    vision = getattr(encoder, "config", None)
    drop = getattr(encoder, "drop_first", 0)
    if vision is None:
        vision, each = pixtral.config_of(encoder, answers.views), 1
    else:
        each = connector.count(encoder.grid(pair(vision.image_size)))
    if not encoder.taps or drop not in (0, 1):
        raise ChiasmError(
            f"encoder = {vision.model_type!r} read at {encoder.taps} without its first {drop} "
            "tokens has no transformers counterpart; 'llava' reads hidden states and leaves out at "
            "most one token"
        )
    return LlavaConfig(
        vision_config=copy.deepcopy(vision),
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_index=tokens.image_id(),
        image_seq_length=each,
        projector_hidden_act=connector.activation,
        multimodal_projector_bias=connector.bias,
        vision_feature_layer=encoder.taps[0] if len(encoder.taps) == 1 else list(encoder.taps),
        vision_feature_select_strategy="default" if drop else "full",
        tie_word_embeddings=answers.host.tied_head,
    )


def _names(config: Any) -> Names:
    projector = {"connector.0.": "linear_1.", "connector.2.": "linear_2."}
    return llava(config.vision_config.model_type, projector)


def _preprocessing(answers: Answers, folder: Path) -> Answers:
    one = type(answers.views) is Fixed
    return (preprocessing.one_size if one else preprocessing.longest_edge)(answers, folder)


def _show(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> examples.Shown:
    one = type(answers.views) is Fixed
    return (examples.flat if one else examples.sized)(answers, counts, generator)


FORMAT = Format(
    classes={"llava": ("LlavaForConditionalGeneration", "LlavaModel")},
    encoders=(TransformersVision, RotaryViT),
    connectors=(MLP,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=_preprocessing,
    names=_names,
    headless_names=_names,
    example=_show,
    connector="model.multi_modal_projector",
)
