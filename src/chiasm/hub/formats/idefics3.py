"""Idefics3 (arXiv 2408.12637) and SmolVLM (arXiv 2504.05299): tiles, blocks of tokens, no latents.

Both have one network; SmolVLM's config and classes bear other names.
"""

import copy
from dataclasses import replace
from typing import Any

from chiasm.connectors import ShuffleLinear
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import TransformersVision
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import config_of, host_of
from chiasm.hub.names import idefics
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed


def _read(config: Any) -> Answers:
    vision, text, factor = config.vision_config, config.text_config, config.scale_factor
    encoder = TransformersVision.from_config(vision, taps=())
    size = pair(vision.image_size)
    rows, columns = encoder.grid(size)
    if rows != columns or rows % factor:
        raise ChiasmError(
            f"the config's tower gives a grid of {rows} x {columns} tokens, which is no square of "
            f"whole blocks of {factor} x {factor}; change image_size or scale_factor"
        )
    return Answers(
        **FORMAT.constant,
        views=Fixed(*size),
        pixels=replace(SIGLIP, resample="lanczos"),
        encoder=encoder,
        connector=ShuffleLinear(factor=factor),
        teaching=CONTINUED,
        host=host_of(text, tied_head=bool(config.tie_word_embeddings)),
        template="idefics2",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import Idefics3Config, SmolVLMConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    makers = {"idefics3_vision": Idefics3Config, "smolvlm_vision": SmolVLMConfig}
    if encoder.model_type not in makers:
        raise ChiasmError(
            f"encoder = {encoder.model_type!r} has no transformers counterpart under a shuffling "
            f"connector; known: {', '.join(makers)}"
        )
    return makers[encoder.model_type](
        vision_config=copy.deepcopy(encoder.config).to_dict(),
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_id=tokens.image_id(),
        scale_factor=connector.factor,
        tie_word_embeddings=answers.host.tied_head,
    )


_CONNECTOR = "connector.modality_projection."

FORMAT = Format(
    classes={
        "idefics3": ("Idefics3ForConditionalGeneration", "Idefics3Model"),
        "smolvlm": ("SmolVLMForConditionalGeneration", "SmolVLMModel"),
    },
    encoders=(TransformersVision,),
    connectors=(ShuffleLinear,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.squashed,
    names=lambda config: idefics("model.", _CONNECTOR),
    headless_names=lambda config: idefics("", _CONNECTOR),
    example=examples.tiled,
    connector="model.connector",
)
