"""AyaVisionForConditionalGeneration (arXiv 2505.08751): blocks of tokens through a SwiGLU."""

import copy
from dataclasses import replace
from typing import Any

from chiasm.connectors import ShuffleSwiGLU
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
    taps = (layers,) if isinstance(layers, int) else tuple(layers)
    if len(taps) != 1:
        raise ChiasmError(
            f"the config's vision_feature_layer names {len(taps)} layers; its projector reads 1"
        )
    encoder = TransformersVision.from_config(
        vision,
        taps=taps,
        drop_first=1 if config.vision_feature_select_strategy == "default" else 0,
    )
    size, factor = pair(vision.image_size), config.downsample_factor
    rows, columns = encoder.grid(size)
    if rows != columns or rows % factor:
        raise ChiasmError(
            f"the config's tower gives a grid of {rows} x {columns} tokens, which is no square of "
            f"whole blocks of {factor} x {factor}; change image_size or downsample_factor"
        )
    text = config.text_config
    hidden = getattr(config, "alignment_intermediate_size", text.hidden_size)
    if hidden % 2:
        raise ChiasmError(
            f"the config's alignment_intermediate_size = {hidden} cannot be halved into values and "
            "gates; make it even"
        )
    return Answers(
        **FORMAT.constant,
        views=Fixed(*size),
        pixels=CLIP if vision.model_type == "clip_vision_model" else SIGLIP,
        encoder=encoder,
        connector=ShuffleSwiGLU(
            factor=factor, hidden=hidden, norm_eps=config.adapter_layer_norm_eps
        ),
        teaching=CONTINUED,
        # Cohere2's factor of the scores is left out of this class.
        host=replace(host_of(text, tied_head=bool(config.tie_word_embeddings)), logit_scale=1.0),
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import AyaVisionConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    if len(encoder.taps) != 1 or encoder.drop_first not in (0, 1):
        raise ChiasmError(
            f"encoder = {encoder.model_type!r} read at {encoder.taps} without its first "
            f"{encoder.drop_first} tokens has no transformers counterpart; 'aya_vision' reads one "
            "hidden state and leaves out at most one token"
        )
    # Not among the class's declared settings, which it reads all the same.
    undeclared: dict[str, Any] = {"alignment_intermediate_size": connector.hidden}
    return AyaVisionConfig(
        vision_config=copy.deepcopy(encoder.config),
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_index=tokens.image_id(),
        vision_feature_layer=encoder.taps[0],
        vision_feature_select_strategy="default" if encoder.drop_first else "full",
        downsample_factor=connector.factor,
        adapter_layer_norm_eps=connector.norm_eps,
        tie_word_embeddings=answers.host.tied_head,
        **undeclared,
    )


def _names(config: Any) -> Names:
    return llava(config.vision_config.model_type, {"connector.": ""})


FORMAT = Format(
    classes={"aya_vision": ("AyaVisionForConditionalGeneration", "AyaVisionModel")},
    encoders=(TransformersVision,),
    connectors=(ShuffleSwiGLU,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.one_size,
    names=_names,
    headless_names=_names,
    example=examples.flat,
    connector="model.multi_modal_projector",
)
