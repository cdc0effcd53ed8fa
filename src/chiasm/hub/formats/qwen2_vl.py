"""Qwen2-VL and Qwen2.5-VL (arXiv 2409.12191, 2502.13923): three rotary axes over image grids.

The text side is chiasm's own; the vision tower is transformers' module.
"""

import copy
from dataclasses import replace
from typing import Any

from chiasm.connectors import Unchanged
from chiasm.data.pixels import CLIP
from chiasm.encoders import GridVision
from chiasm.encoders.transformers_vision import settings_of
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format
from chiasm.hub.hosts import FAMILIES, config_of, host_of
from chiasm.hub.names import Names, decoder
from chiasm.hub.tokens import SpecialTokens
from chiasm.positions import MultimodalRotary
from chiasm.spec import Answers, NativeResolution


def _read(config: Any) -> Answers:
    text, vision = copy.deepcopy(config.text_config), config.vision_config
    rope = dict(text.rope_parameters)
    half = text.hidden_size // text.num_attention_heads // 2
    sections = tuple(rope.pop("mrope_section", (16, 24, 24)))
    if len(sections) != 3 or sum(sections) != half:
        raise ChiasmError(
            f"the config's mrope_section = {sections} does not share a head's {half} frequencies "
            "out among three axes"
        )
    text.rope_parameters = rope
    host = host_of(text, tied_head=bool(config.tie_word_embeddings), family=_HOST[text.model_type])
    return Answers(
        **FORMAT.constant,
        views=NativeResolution(longest=1024, shortest=28),
        pixels=replace(CLIP, fit="native"),
        encoder=GridVision(package=config.model_type, settings=settings_of(vision)),
        connector=Unchanged(),
        teaching=CONTINUED,
        host=replace(host, rope_sections=sections),
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    import transformers

    encoder: Any = answers.encoder
    host = answers.host
    plain = replace(host, rope_sections=())
    text = config_of(plain, family=_HOST[host.family], **tokens.entries())
    text.rope_parameters["mrope_section"] = list(host.rope_sections)
    makers = {
        "qwen2_vl": transformers.Qwen2VLConfig,
        "qwen2_5_vl": transformers.Qwen2_5_VLConfig,
    }
    return makers[encoder.package](
        text_config=text.to_dict(),
        vision_config=encoder.config.to_dict(),
        image_token_id=tokens.image_id(),
        tie_word_embeddings=host.tied_head,
    )


_HOST = {
    kind: replace(FAMILIES["qwen2"], config_class=name)
    for kind, name in (
        ("qwen2_vl_text", "Qwen2VLTextConfig"),
        ("qwen2_5_vl_text", "Qwen2_5_VLTextConfig"),
    )
}


def _names(head: str) -> Names:
    pairs = (*decoder("model.", head), ("encoder.model.", "visual."))
    spellings = (
        ("model.language_model.", "model."),
        ("model.visual.", "visual."),
        ("language_model.", "model."),
    )
    return Names(pairs, spellings)


FORMAT = Format(
    classes={
        "qwen2_vl": ("Qwen2VLForConditionalGeneration", "Qwen2VLModel"),
        "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLModel"),
    },
    encoders=(GridVision,),
    connectors=(Unchanged,),
    constant={**PLAIN, "fusion": InSequence(), "positions": MultimodalRotary()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.none,
    names=lambda config: _names(""),
    headless_names=lambda config: _names(""),
    example=examples.gridded,
)
