"""VipLlavaForConditionalGeneration (arXiv 2312.00784): several layers of the tower, normed."""

import copy
from typing import Any

from chiasm.connectors import NormedMLP
from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.encoders import TransformersVision
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import config_of, host_of
from chiasm.hub.names import Names, llava
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed


def _read(config: Any) -> Answers:
    vision, layers = config.vision_config, config.vision_feature_layer
    return Answers(
        **FORMAT.constant,
        views=Fixed(*pair(vision.image_size)),
        pixels=CLIP if vision.model_type == "clip_vision_model" else SIGLIP,
        encoder=TransformersVision.from_config(
            vision,
            taps=(layers,) if isinstance(layers, int) else tuple(layers),
            drop_first=1,
        ),
        connector=NormedMLP(
            activation=config.projector_hidden_act, norm_eps=config.projector_layernorm_eps
        ),
        teaching=CONTINUED,
        host=host_of(config.text_config, tied_head=bool(config.tie_word_embeddings)),
        template="vicuna",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import VipLlavaConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    if not encoder.taps or encoder.drop_first != 1:
        raise ChiasmError(
            f"encoder = {encoder.model_type!r} read at {encoder.taps} without its first "
            f"{encoder.drop_first} tokens has no transformers counterpart; 'vipllava' reads hidden "
            "states and leaves out one token"
        )
    return VipLlavaConfig(
        vision_config=copy.deepcopy(encoder.config),
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_index=tokens.image_id(),
        image_seq_length=connector.count(encoder.grid(pair(encoder.config.image_size))),
        projector_hidden_act=connector.activation,
        projector_layernorm_eps=connector.norm_eps,
        vision_feature_layer=encoder.taps[0] if len(encoder.taps) == 1 else list(encoder.taps),
        tie_word_embeddings=answers.host.tied_head,
    )


def _names(config: Any) -> Names:
    projector = {
        "connector.0.": "projector_layernorm.",
        "connector.1.": "linear_1.",
        "connector.3.": "linear_2.",
    }
    return llava(config.vision_config.model_type, projector)


FORMAT = Format(
    classes={"vipllava": ("VipLlavaForConditionalGeneration", "VipLlavaModel")},
    encoders=(TransformersVision,),
    connectors=(NormedMLP,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.one_size,
    names=_names,
    headless_names=_names,
    example=examples.flat,
    connector="model.multi_modal_projector",
)
