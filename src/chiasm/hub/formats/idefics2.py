"""Idefics2ForConditionalGeneration (arXiv 2405.02246): native sizes, a resampler of latents."""

import copy
from dataclasses import replace
from typing import Any

from chiasm.connectors import Idefics2Connector
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import TransformersVision
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format
from chiasm.hub.hosts import config_of, host_of
from chiasm.hub.names import idefics
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, NativeResolution


def _read(config: Any) -> Answers:
    perceiver, text = config.perceiver_config, config.text_config
    if perceiver.hidden_act != text.hidden_act:
        raise ChiasmError(
            f"the config's perceiver_config has hidden_act = {perceiver.hidden_act!r}, its "
            f"text_config {text.hidden_act!r}; one connector with two activations is not supported"
        )
    return Answers(
        **FORMAT.constant,
        views=NativeResolution(longest=980, shortest=378),
        pixels=replace(SIGLIP, fit="native", resample="bilinear"),
        encoder=TransformersVision.from_config(config.vision_config, taps=()),
        connector=Idefics2Connector(
            ff_width=text.intermediate_size,
            latents=perceiver.resampler_n_latents,
            depth=perceiver.resampler_depth,
            heads=perceiver.resampler_n_heads,
            kv_heads=perceiver.num_key_value_heads,
            head_width=perceiver.resampler_head_dim,
            activation=perceiver.hidden_act,
            norm_eps=perceiver.rms_norm_eps,
        ),
        teaching=CONTINUED,
        host=host_of(text, tied_head=bool(config.tie_word_embeddings)),
        template="idefics2",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import Idefics2Config

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    return Idefics2Config(
        vision_config=copy.deepcopy(encoder.config).to_dict(),
        perceiver_config={
            "hidden_act": connector.activation,
            "hidden_size": answers.host.width,
            "rms_norm_eps": connector.norm_eps,
            "resampler_n_latents": connector.latents,
            "resampler_depth": connector.depth,
            "resampler_n_heads": connector.heads,
            "resampler_head_dim": connector.head_width,
            "num_key_value_heads": connector.kv_heads,
        },
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_id=tokens.image_id(),
        tie_word_embeddings=answers.host.tied_head,
    )


FORMAT = Format(
    classes={"idefics2": ("Idefics2ForConditionalGeneration", "Idefics2Model")},
    encoders=(TransformersVision,),
    connectors=(Idefics2Connector,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.native,
    names=lambda config: idefics("model."),
    headless_names=lambda config: idefics(""),
    example=examples.native,
    connector="model.connector",
)
